//! Contexts on a real file system, read back through an independent reader of tar.

mod arrival;
mod cache;
mod change;
mod digest;
mod selection;

use std::{
    collections::BTreeMap,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{BuildContext, ContextError, ContextRequest, prepare};
use crate::project::BuildSpec;

/// A project in a temporary folder.
struct Project {
    folder: TempDir,
    build: BuildSpec,
    contexts: Vec<PathBuf>,
    each: bool,
    cache: Option<PathBuf>,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let build = BuildSpec {
            context: folder.path().to_owned(),
            ..BuildSpec::default()
        };
        let project = Self {
            folder,
            build,
            contexts: Vec::new(),
            each: false,
            cache: None,
        };
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs_err::set_permissions(
            self.root().join(path),
            std::fs::Permissions::from_mode(mode),
        )
        .unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        fs_err::os::unix::fs::symlink(target, self.root().join(path)).unwrap();
    }

    fn prepare(&self) -> Result<BuildContext, ContextError> {
        prepare(&ContextRequest {
            project_root: self.root(),
            service: "web",
            build: &self.build,
            contexts: &self.contexts,
            multi_dockerignore: self.each,
            cache_dir: self.cache.as_deref(),
            device_type: "raspberrypi4-64",
            arch: "aarch64",
            is_live: false,
        })
    }

    fn context(&self) -> BuildContext {
        self.prepare().unwrap()
    }

    fn digest(&self) -> String {
        self.context().digest
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Unpacked {
    kind: tar::EntryType,
    mode: u32,
    target: Vec<u8>,
    content: Vec<u8>,
}

fn unpack(context: &BuildContext) -> BTreeMap<Vec<u8>, Unpacked> {
    let mut bytes = Vec::new();
    context.write_tar(&mut bytes).unwrap();
    assert_eq!(bytes.len() % 512, 0);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut read = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let header = entry.header();
        let found = Unpacked {
            kind: header.entry_type(),
            mode: header.mode().unwrap(),
            target: entry.link_name_bytes().unwrap_or_default().into_owned(),
            content: bytes,
        };
        let earlier = read.insert(entry.path_bytes().into_owned(), found);
        assert_eq!(earlier, None, "an entry came twice");
    }
    read
}

fn paths(context: &BuildContext) -> Vec<String> {
    unpack(context)
        .into_keys()
        .map(|path| String::from_utf8_lossy(&path).into_owned())
        .collect()
}

fn said(context: &BuildContext) -> String {
    context
        .warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}
