use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use fs_err as fs;
use serde_json::Value;
use tempfile::TempDir;

use super::super::{ConfigureError, ConfigurePlaces, run};
use crate::store::disk::{Disk, OwnDisk};

/// A device that is a folder.
pub(super) struct Device {
    dir: TempDir,
}

impl Device {
    pub(super) fn new(config: &Value) -> Self {
        let dir = folder();
        let device = Self::at(dir);
        fs::create_dir_all(device.path("mnt/boot")).unwrap();
        device.write(&config.to_string());
        device
    }

    pub(super) fn at(dir: TempDir) -> Self {
        Self { dir }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(super) fn write(&self, config: &str) {
        fs::write(self.path("mnt/boot/config.json"), config).unwrap();
    }

    pub(super) fn try_configure(&self) -> Result<(), ConfigureError> {
        self.configure_on(&OwnDisk)
    }

    pub(super) fn places(&self) -> ConfigurePlaces {
        ConfigurePlaces {
            root: self.dir.path().to_owned(),
            config_json: self.path("mnt/boot/config.json"),
            state_dir: self.path("mnt/state/os"),
            bus: None,
        }
    }

    pub(super) fn configure_on(&self, disk: &dyn Disk) -> Result<(), ConfigureError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(run(&self.places(), disk))
    }

    pub(super) fn configure(&self) {
        self.try_configure().unwrap();
    }

    pub(super) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn standing(&self) -> Value {
        serde_json::from_str(&self.text("run/os/configure.json")).unwrap()
    }

    /// Every file with what changes when it is replaced.
    pub(super) fn files(&self) -> Vec<(PathBuf, (u64, i64, i64))> {
        let mut folders = vec![self.dir.path().to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::metadata(&path).unwrap();
                if meta.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path, (meta.ino(), meta.mtime(), meta.mtime_nsec())));
                }
            }
        }
        files.sort();
        files
    }
}

/// In memory, where there is one: these tests flush thousands of files.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}
