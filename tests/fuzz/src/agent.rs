//! What a device's agent reads: its own files, the engine's answers.

use std::path::{Path, PathBuf};

use bollard::models::{ContainerInspectResponse, ImageInspect, NetworkInspect, Volume};
use os_agent::{
    engine::decode,
    fuzz::{configured, joined, own_lines, read_memory, read_state, write_state},
    model::Confinement,
    settings::{AnnounceScope, RunArguments, Settings},
};

use super::text::{assert_harmless, line_ends};

/// config.json: whatever is in it, the device starts and can be reached.
pub(crate) fn config_json(input: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let config_json = folder.path().join("config.json");
    fs_err::write(&config_json, input).expect("a file");
    // The one that a device made for itself at its first start.
    let uuid = "0123456789abcdef0123456789abcdef";
    fs_err::write(folder.path().join("uuid"), uuid).expect("a file");
    let settings = Settings::load(&arguments(folder.path(), config_json));
    let settings = settings.expect("a broken config.json is no reason not to start");
    assert!(settings.listen.iter().all(|address| address.port() != 0));
    assert_ne!(settings.facts.listen_port, 0);
    let host = &settings.facts.hostname;
    assert!((1..=63).contains(&host.len()), "{host:?}");
    assert!(
        host.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    );
    let uuid = &settings.facts.uuid;
    assert!(matches!(uuid.len(), 32 | 62), "{uuid:?}");
    // A name that no target may have would make every target without a name one that is refused.
    let name = &settings.initial_name;
    assert!((1..=255).contains(&name.chars().count()) && !name.contains(['\n', '\r']));
    for fault in &settings.faults {
        assert_harmless(fault);
        assert!(fault.len() < 500, "{fault:?}");
    }
}

/// config.json, then the last good one: whatever is in them, every part of the system is asked for something that it can be.
pub(crate) fn configure(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (file, last_good) = (part(), part());
    let made = configured(file, last_good);
    assert!(matches!(made.uuid.len(), 32 | 62), "{:?}", made.uuid);
    assert!(made.uuid.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    assert!((1..=63).contains(&made.hostname.len()));
    assert!(made.hostname.bytes().all(is_label), "{:?}", made.hostname);
    assert_eq!(made.complaints, 0, "what counts cannot be used");
    for sentence in &made.sentences {
        assert_harmless(sentence);
        assert!(sentence.len() < 500, "{sentence:?}");
    }
    for (path, content) in &made.files {
        assert!(path.starts_with("run/") || path == "var/volatile/vpn-auth");
        assert!(
            path.split('/')
                .all(|name| !name.is_empty() && !name.starts_with('.'))
        );
        // Rules and certificates are people's own texts; all others are lines of ours.
        let end = Path::new(path).extension().unwrap_or_default();
        if end == "rules" || end == "crt" {
            continue;
        }
        let text = std::str::from_utf8(content).expect("a text");
        assert!(
            !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')),
            "{text:?}"
        );
        let lines = text.lines().count();
        match path.strip_suffix(".env") {
            Some(_) => assert!(lines == 1 && text.contains('='), "{path}: {text:?}"),
            None if path.ends_with("os.conf") => assert!(lines <= 8, "{path}: {text:?}"),
            None => assert!(lines <= 256, "{path}: {text:?}"),
        }
    }
}

/// config.json, a fleet's configuration, the system's schema, the cloud's answer: what cannot be joined with is refused with a
/// reason that tells nothing of it, and no cloud is shown another one's key.
pub(crate) fn fleet_config(input: &[u8]) {
    let mut parts = input.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (config, with, schema, answer) = (part(), part(), part(), part());
    let made = joined(config, with, schema, answer);
    match made.config {
        Ok(config) => {
            let url = config.get("apiEndpoint").and_then(|url| url.as_str());
            let url = url.expect("an address");
            assert!(
                url.starts_with("https://") || url.starts_with("http://"),
                "{url:?}"
            );
            assert!(config.contains_key("deviceApiKey"));
        }
        Err(words) => assert!(words.len() < 100, "{words:?}"),
    }
    assert!(
        !made.shows_old_key
            || String::from_utf8_lossy(with).contains("deviceApiKey")
            || String::from_utf8_lossy(config).contains("deviceApiKeys")
    );
    for words in [made.files.err(), made.pending].into_iter().flatten() {
        assert!(!words.is_empty());
    }
}

fn arguments(folder: &Path, config_json: PathBuf) -> RunArguments {
    RunArguments {
        listen: Vec::new(),
        socket: folder.join("agent.sock"),
        engine: None,
        state_dir: folder.to_owned(),
        config_json,
        last_good_config_json: folder.join("none"),
        device_type_json: folder.join("none"),
        data_dir: None,
        os_release: folder.join("none"),
        host_root: folder.to_owned(),
        uuid: None,
        hostname: None,
        device_type: None,
        arch: None,
        os_version: None,
        services_dir: None,
        simulated: None,
        simulated_address: None,
        allow_privileged: false,
        announce: AnnounceScope::None,
    }
}

/// The state file, then the agent's memory, then the file with its own log lines.
pub(crate) fn state_file(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == 0);
    match read_state(parts.next().unwrap_or_default()) {
        Ok((generation, target)) => {
            let text = write_state(generation, target.clone()).expect("JSON");
            assert_eq!(read_state(&text), Ok((generation, target)));
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
    if let Some(memory) = parts.next() {
        let folder = tempfile::tempdir().expect("a folder");
        fs_err::write(folder.path().join("memory.json"), memory).expect("a file");
        let (keys, fault) = read_memory(folder.path());
        assert!(fault.is_none() || keys == 0, "damaged and used");
    }
    if let Some(rows) = parts.next() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("agent.lines");
        fs_err::write(&file, rows).expect("a file");
        let lines = own_lines(&file);
        assert!(lines.len() <= 1000 && lines.len() <= line_ends(rows) + 1);
        assert_eq!(lines, own_lines(&file), "not kept as they were read");
    }
}

/// One byte that chooses the kind, then what an engine answers.
pub(crate) fn engine_answers(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else {
        return;
    };
    let confinement = Confinement {
        namespace: "abc1234".to_owned(),
        address: std::net::IpAddr::from([127, 71, 0, 1]),
        allow_privileged: false,
    };
    let confinement = (kind & 8 != 0).then_some(&confinement);
    match kind % 4 {
        0 => {
            let Ok(inspect) = serde_json::from_slice::<ContainerInspectResponse>(body) else {
                return;
            };
            let container = decode::container(&inspect, confinement);
            assert_eq!(container, decode::container(&inspect, confinement));
            match container {
                Ok(container) => assert!(!container.service_name.is_empty()),
                Err(reason) => assert!(!reason.to_string().is_empty()),
            }
        }
        1 => {
            if let Ok(inspect) = serde_json::from_slice::<NetworkInspect>(body) {
                let ours = decode::inspected_network(inspect.clone(), confinement);
                let network = decode::api_network(inspect);
                if let Ok(ours) = ours {
                    assert_eq!((ours.id, ours.name), (network.id, network.name));
                }
            }
        }
        2 => {
            if let Ok(volume) = serde_json::from_slice::<Volume>(body)
                && let Ok(ours) = decode::volume(&volume, confinement)
            {
                assert_eq!(ours.name, volume.name);
                assert!(!ours.logical_name.is_empty());
            }
        }
        _ => {
            if let Ok(inspect) = serde_json::from_slice::<ImageInspect>(body) {
                let image = decode::image(&inspect);
                assert_eq!(image, decode::image(&inspect));
            }
        }
    }
}
