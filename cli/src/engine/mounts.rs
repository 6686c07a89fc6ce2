//! What is mounted in a container, of which its archives show not all: an engine mounts volumes for them, and no file systems in memory.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Engine, EngineError};
use crate::transport::{Limits, encode_path};

/// File systems in memory that every container has.
const ALWAYS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Files that an engine mounts in every container, without saying so.
const FILES: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// The mounts of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Mount>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    at: String,
    is_memory: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    #[serde(default)]
    host_config: Option<HostConfig>,
    #[serde(default)]
    mounts: Option<Vec<Told>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    #[serde(default)]
    tmpfs: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    #[serde(default, rename = "Type")]
    kind: String,
    #[serde(default)]
    destination: String,
}

impl From<Inspected> for Mounts {
    fn from(inspected: Inspected) -> Self {
        let memory = |at: String| Mount {
            at,
            is_memory: true,
        };
        let always = ALWAYS.map(str::to_owned).into_iter().map(memory);
        let tmpfs = inspected.host_config.and_then(|config| config.tmpfs);
        let tmpfs = tmpfs.unwrap_or_default().into_keys().map(memory);
        let others = inspected.mounts.unwrap_or_default().into_iter();
        let others = others.map(|told| Mount {
            is_memory: told.kind == "tmpfs",
            at: told.destination,
        });
        let mut all: Vec<Mount> = always.chain(tmpfs).chain(others).collect();
        for mount in &mut all {
            mount.at.truncate(mount.at.trim_end_matches('/').len());
        }
        all.retain(|mount| mount.at.starts_with('/'));
        Self(all)
    }
}

impl Mounts {
    /// The file system in memory in which a path is, one without links.
    #[must_use]
    pub fn memory_of(&self, path: &[u8]) -> Option<&str> {
        let nearest = self.nearest(path).filter(|mount| mount.is_memory);
        nearest.map(|mount| mount.at.as_str())
    }

    /// The volume, or what else is mounted and no memory, in which a path is.
    #[must_use]
    pub fn volume_of(&self, path: &[u8]) -> Option<&str> {
        let nearest = self.nearest(path).filter(|mount| !mount.is_memory);
        nearest.map(|mount| mount.at.as_str())
    }

    /// What is mounted over a path, and hides what the image has there.
    #[must_use]
    pub fn over(&self, path: &[u8]) -> Option<&str> {
        self.nearest(path).map(|mount| mount.at.as_str())
    }

    /// Whether something is mounted just there.
    #[must_use]
    pub fn is_mounted_at(&self, path: &[u8]) -> bool {
        let files = FILES.iter().copied();
        let mut all = files.chain(self.0.iter().map(|mount| mount.at.as_str()));
        all.any(|at| at.as_bytes() == path)
    }

    fn nearest(&self, path: &[u8]) -> Option<&Mount> {
        let over = self.0.iter().filter(|mount| is_below(path, &mount.at));
        over.max_by_key(|mount| mount.at.len())
    }

    /// Those in memory that are below a path, but for those that every container has.
    pub fn memory_below(&self, path: &[u8]) -> impl Iterator<Item = &str> {
        let all = self.0.iter().filter(|mount| mount.is_memory);
        let of_its_own = all.filter(|mount| !ALWAYS.contains(&mount.at.as_str()));
        let below = of_its_own.filter(move |mount| {
            let folder = String::from_utf8_lossy(path);
            is_below(mount.at.as_bytes(), folder.trim_end_matches('/'))
        });
        below.map(|mount| mount.at.as_str())
    }
}

/// Whether a path is a folder or below it.
fn is_below(path: &[u8], folder: &str) -> bool {
    let rest = path.strip_prefix(folder.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

impl Engine {
    /// What is mounted in a container.
    pub async fn mounts(&self, container: &str) -> Result<Mounts, EngineError> {
        let path = format!("/containers/{}/json", encode_path(container));
        let answer = self.http().get(&path, Limits::default()).await?;
        let what = format!("GET {path}");
        self.succeeded(&what, &answer)?;
        Ok(self.read::<Inspected>(&what, &answer.body)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_says_what_a_path_is_in() {
        let inspected: Inspected = serde_json::from_str(
            r#"{"HostConfig": {"Tmpfs": {"/run/": "", "relative": ""}}, "Mounts": [
                {"Type": "volume", "Destination": "/run/data"}, {"Type": "tmpfs", "Destination": "/run/data/fast"}]}"#,
        )
        .unwrap();
        let mounts = Mounts::from(inspected);
        assert_eq!(mounts.over(b"/run/data/x"), Some("/run/data"));
        assert_eq!(mounts.over(b"/running"), None);
        for (path, memory) in [
            ("/run", Some("/run")),
            ("/run/x/y", Some("/run")),
            ("/running", None),
            ("/run/data/x", None),
            ("/run/data/fast/x", Some("/run/data/fast")),
            ("/proc/cpuinfo", Some("/proc")),
            ("/", None),
        ] {
            assert_eq!(mounts.memory_of(path.as_bytes()), memory, "{path}");
        }
        let below = |path: &str| mounts.memory_below(path.as_bytes()).count();
        assert_eq!([below("/"), below("/run/data"), below("/app")], [2, 1, 0]);
        assert_eq!(mounts.volume_of(b"/run/data/x"), Some("/run/data"));
        assert_eq!(mounts.volume_of(b"/run/x"), None);
        assert!(mounts.is_mounted_at(b"/run/data") && mounts.is_mounted_at(b"/etc/hosts"));
        assert!(!mounts.is_mounted_at(b"/run/data/x"));
        let without = Mounts::from(serde_json::from_str::<Inspected>("{}").unwrap());
        assert_eq!(without.memory_of(b"/run"), None);
    }
}
