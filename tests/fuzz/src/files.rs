//! Files that only a folder makes sense of: those of `.balena`, and this program's own.

use std::path::{Component, Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use os_cli::{
    discovery::{
        Device, Origin,
        remembered::Remembered,
        simulated::{self, Record},
    },
    project::{
        BuildSpec,
        context::{ContextRequest, prepare},
        metadata::{self, FileError, MetadataError},
        registry::{self, RegistryError, RegistryRequest},
    },
};
use serde_json::Value;
use tempfile::TempDir;

use super::text::lines;

/// A file of registry secrets as YAML or, after a `{`, as JSON; then the project's settings.
pub(crate) fn project_files(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (secrets, settings) = (parts.next().unwrap_or_default(), parts.next());
    let project = tempfile::tempdir().expect("a folder");
    let folder = project.path().join(".balena");
    fs_err::create_dir_all(folder.join("secrets/a")).expect("a folder");
    let extension = if secrets.starts_with(b"{") {
        "json"
    } else {
        "yml"
    };
    let file = folder.join(format!("registry-secrets.{extension}"));
    fs_err::write(&file, secrets).expect("a file");
    registry_secrets(project.path(), secrets);
    if let Some(settings) = settings {
        fs_err::write(folder.join("balena.yml"), settings).expect("a file");
        project_settings(project.path(), settings);
    }
}

fn registry_secrets(project: &Path, text: &[u8]) {
    let request = RegistryRequest {
        file: None,
        config_dir: None,
        project_root: project,
    };
    match registry::load(&request) {
        Ok(secrets) => {
            let all = decoded(&secrets.config_header());
            assert_eq!(
                all.as_object().map(serde_json::Map::len),
                Some(secrets.iter().count())
            );
            for (registry, _) in secrets.iter() {
                let one = decoded(&secrets.auth_header(&format!("{registry}/a/b")));
                assert!(one.is_object());
            }
        }
        Err(RegistryError::File(error)) => within(&error, text),
        Err(error) => panic!("{error}"),
    }
}

fn decoded(header: &str) -> Value {
    let text = URL_SAFE.decode(header).expect("base64");
    serde_json::from_slice(&text).expect("JSON")
}

fn within(error: &FileError, text: &[u8]) {
    match error {
        FileError::Invalid { line, message, .. } => {
            let text = String::from_utf8_lossy(text);
            let last = lines(&text) + text.matches('\r').count();
            assert!((1..=last).contains(line), "line {line} of {last}");
            assert!(!message.is_empty());
        }
        FileError::Read { .. } => assert!(std::str::from_utf8(text).is_err(), "{error:?}"),
    }
}

fn project_settings(project: &Path, text: &[u8]) {
    match metadata::load(project) {
        Ok(settings) => {
            for secret in settings.build_secrets("web") {
                let below = project.join(".balena/secrets");
                assert!(secret.source.starts_with(below), "{secret:?}");
                for path in [&secret.source, Path::new(&secret.dest)] {
                    let up = path.components().any(|part| part == Component::ParentDir);
                    assert!(!up, "{secret:?}");
                }
                assert!(Path::new(&secret.dest).is_relative(), "{secret:?}");
            }
            let arguments = settings.build_arguments("web");
            assert!(
                arguments.keys().all(|name| !name.contains('=')),
                "{arguments:?}"
            );
        }
        Err(MetadataError::File(error)) => within(&error, text),
        Err(error) => panic!("{error}"),
    }
}

/// The file of remembered devices, then the record of a simulated one.
pub(crate) fn device_files(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let folder = tempfile::tempdir().expect("a folder");
    remembered(&folder, parts.next().unwrap_or_default());
    if let Some(record) = parts.next() {
        simulated(&folder, record);
    }
}

fn remembered(folder: &TempDir, bytes: &[u8]) {
    let path = folder.path().join("devices.json");
    fs_err::write(&path, bytes).expect("a file");
    let peeked = Remembered::peek(&path);
    let (mut known, aside) = Remembered::load(&path);
    assert_eq!(peeked, known);
    if let Some(aside) = aside {
        let kept = fs_err::read(aside.moved_to.expect("a file that was moved"));
        assert_eq!(kept.expect("the file"), bytes, "the file is lost");
        assert!(known.devices().is_empty());
    }
    assert!(known.devices().len() <= 512);
    let local = |device: &&Device| matches!(device.origin, Origin::Simulated { .. });
    assert_eq!(known.devices().iter().find(local), None);
    let new = Device {
        name: "abc1234".to_owned(),
        uuid: Some("abc12340000000000000000000000000".to_owned()),
        addresses: Vec::new(),
        api_port: 48484,
        engine_port: 2375,
        ssh_port: 22222,
        device_type: None,
        os_version: None,
        agent_version: None,
        variant: None,
        ssh_fingerprint: None,
        origin: Origin::Given,
    };
    known.learn(&new);
    assert!(!known.learn(&new), "learnt twice");
    let device = known
        .devices()
        .iter()
        .find(|device| device.uuid == new.uuid);
    assert!(device.is_some(), "not learnt");
    known.save(&path).expect("a file");
    let (again, aside) = Remembered::load(&path);
    assert!(aside.is_none(), "{aside:?}");
    assert_eq!(again, known);
}

fn simulated(folder: &TempDir, bytes: &[u8]) {
    let below = folder.path().join("simulated");
    fs_err::create_dir(&below).expect("a folder");
    fs_err::write(below.join("x.json"), bytes).expect("a file");
    let (records, faults) = simulated::load(&below).expect("a folder");
    assert_eq!(records.len() + faults.len(), 1);
    let Some(record) = records.first() else {
        return;
    };
    let text = serde_json::to_vec(record).expect("JSON");
    let again: Option<Record> = serde_json::from_slice(&text).ok();
    assert_eq!(again.as_ref(), Some(record));
}

/// The cache of a context's hashes: whatever is in it, the digest is that of the files.
pub(crate) fn context_cache(input: &[u8]) {
    const MAGIC: &[u8] = b"os context hashes 1\n";
    let folder = tempfile::tempdir().expect("a folder");
    let (project, cache) = (folder.path().join("project"), folder.path().join("cache"));
    fs_err::create_dir(&project).expect("a folder");
    fs_err::write(project.join("Dockerfile"), "FROM scratch\nCOPY a /\n").expect("a file");
    fs_err::write(project.join("a"), "a").expect("a file");
    let digest = |cache_dir| {
        let context = prepare(&ContextRequest {
            project_root: &project,
            service: "web",
            build: &BuildSpec {
                context: project.clone(),
                ..BuildSpec::default()
            },
            contexts: &[],
            multi_dockerignore: false,
            cache_dir,
            device_type: "generic-amd64",
            arch: "amd64",
            is_live: false,
        });
        context.expect("a context").digest
    };
    let expected = digest(None);
    assert_eq!(digest(Some(&cache)), expected);
    let file = fs_err::read_dir(&cache)
        .expect("the cache")
        .next()
        .expect("a file")
        .expect("a file")
        .path();
    // As it is, and with the sum that it needs to be looked at.
    let summed = [MAGIC, input, blake3::hash(input).as_bytes()].concat();
    for content in [input, &summed] {
        fs_err::write(&file, content).expect("a file");
        assert_eq!(digest(Some(&cache)), expected);
    }
}
