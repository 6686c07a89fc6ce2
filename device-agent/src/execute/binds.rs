//! Folders of the device that a container mounts: where they really are.
//!
//! In: sources of binds, as the engine is told them. Out: nothing, or why one must not be mounted. Services write below
//! the device's `/tmp` as they like, and the engine follows a link there as root, so every source is looked at right
//! before a container is created and before it is started.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use agent_api::folders::{SHARED, is_shared};
use bollard::models::{HostConfig, MountType};
use fs_err as fs;
use thiserror::Error;

/// Why a folder must not be mounted.
#[derive(Debug, Error)]
pub(super) enum BindError {
    /// A link on the way leads out of what services share.
    #[error(
        "{} leads to {}: of the device's folders, services may mount those below {SHARED} only",
        .path.display(), .real.display()
    )]
    Outside {
        /// As it was asked for.
        path: PathBuf,
        /// What would be mounted.
        real: PathBuf,
    },
    /// It cannot be said what would be mounted.
    #[error("{} leads nowhere", .path.display())]
    Nowhere {
        /// As it was asked for.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
}

/// The folders of the device in a container's configuration, in either form.
pub(super) fn sources(host: &HostConfig) -> impl Iterator<Item = &str> {
    let short = host.binds.iter().flatten();
    let short = short.filter_map(|bind| bind.split(':').next());
    let long = host.mounts.iter().flatten();
    let long = long.filter(|mount| mount.typ == Some(MountType::BIND));
    short
        .chain(long.filter_map(|mount| mount.source.as_deref()))
        .filter(|source| source.starts_with('/'))
}

/// Checks every source below `/tmp` but `own`, the service's directory in `services_dir`; what labels give of the rest
/// of the device is no service's to change.
pub(super) fn check<'a>(
    sources: impl Iterator<Item = &'a str>,
    services_dir: &Path,
    own: &Path,
) -> Result<(), BindError> {
    let shared = Path::new(SHARED);
    let asked = sources.map(Path::new);
    let mut asked = asked
        .filter(|path| path.starts_with(shared) && *path != own)
        .peekable();
    if asked.peek().is_none() {
        return Ok(());
    }
    // Of these two it is enough to know what they are called when nothing is there.
    let root = real(shared).unwrap_or_else(|_| shared.to_owned());
    let services = real(services_dir).unwrap_or_else(|_| services_dir.to_owned());
    for path in asked {
        let real = real(path).map_err(|source| BindError::Nowhere {
            path: path.to_owned(),
            source,
        })?;
        if !may_mount(&real, &root, &services) {
            return Err(BindError::Outside {
                path: path.to_owned(),
                real,
            });
        }
    }
    Ok(())
}

/// The decision on paths without links: below `/tmp` (`root`), and neither in the services' directories nor around them.
fn may_mount(real: &Path, root: &Path, services: &Path) -> bool {
    let Ok(below) = real.strip_prefix(root) else {
        return false;
    };
    let as_written = Path::new(SHARED).join(below);
    as_written.to_str().is_some_and(is_shared)
        && !real.starts_with(services)
        && !services.starts_with(real)
}

/// A path without links. Of a folder that is not there yet, which the engine makes, the part counts that is there.
fn real(path: &Path) -> io::Result<PathBuf> {
    let mut present = path;
    let mut missing: Vec<&OsStr> = Vec::new();
    // A link is there although what it leads to is not.
    while let Err(error) = fs::symlink_metadata(present) {
        let (io::ErrorKind::NotFound, Some(parent), Some(name)) =
            (error.kind(), present.parent(), present.file_name())
        else {
            return Err(error);
        };
        missing.push(name);
        present = parent;
    }
    let mut real = fs::canonicalize(present)?;
    real.extend(missing.iter().rev());
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// What becomes of a folder below a directory of services' own making.
    fn outcome(dir: &Path, folder: &str) -> Result<(), BindError> {
        let path = dir.join(folder);
        let services = dir.join("services");
        let own = services.join("1/web");
        check([path.to_str().unwrap()].into_iter(), &services, &own)
    }

    #[test]
    fn links_out_of_what_is_shared_are_refused() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let dir = dir.path();
        for services in ["services/1/web", "services/2"] {
            fs::create_dir_all(dir.join(services)).unwrap();
        }
        fs::create_dir_all(dir.join("shared/deep")).unwrap();
        for (link, to) in [
            ("shared/inside", dir.join("shared/deep")),
            ("shared/out", "/etc".into()),
            ("shared/deep/root", "/".into()),
            ("shared/up", "/tmp".into()),
            ("shared/locks", dir.join("services/2")),
            ("shared/around", dir.to_owned()),
            ("shared/dangling", "/etc/not-there".into()),
            ("shared/agent", "/tmp/balena-supervisor/services".into()),
        ] {
            symlink(to, dir.join(link)).unwrap();
        }
        for fine in [
            "shared",
            "shared/deep",
            "shared/inside",
            "shared/not/there/yet",
            "services/1/web",
        ] {
            outcome(dir, fine).unwrap();
        }
        for refused in [
            "shared/out",
            "shared/out/ssh",
            "shared/out/not-there",
            "shared/deep/root/etc",
            "shared/inside/root",
            "shared/up",
            "shared/locks",
            "shared/around",
            "services",
            "services/2/other",
        ] {
            let error = outcome(dir, refused).expect_err(refused);
            assert!(
                matches!(error, BindError::Outside { .. }),
                "{refused}: {error}"
            );
        }
        let words = outcome(dir, "shared/out").unwrap_err().to_string();
        assert!(words.contains("/shared/out leads to /etc: "), "{words}");
        outcome(dir, "shared/dangling").unwrap_err();
        outcome(dir, "shared/dangling/below").unwrap_err();
        outcome(dir, "shared/agent/1/web").unwrap_err();
    }

    #[test]
    fn what_labels_give_is_not_looked_at() {
        let features = ["/sys", "/run/dbus", "/tmpfoo"].into_iter();
        check(features, Path::new("/tmp/s"), Path::new("/tmp/s/1/web")).unwrap();
    }

    #[test]
    fn folders_are_found_in_both_forms() {
        let host = HostConfig {
            binds: Some(vec!["/tmp/a:/a:ro".to_owned(), "1_data:/data".to_owned()]),
            mounts: Some(vec![
                bollard::models::Mount {
                    typ: Some(MountType::BIND),
                    source: Some("/tmp/b".to_owned()),
                    ..bollard::models::Mount::default()
                },
                bollard::models::Mount {
                    typ: Some(MountType::VOLUME),
                    source: Some("1_other".to_owned()),
                    ..bollard::models::Mount::default()
                },
            ]),
            ..HostConfig::default()
        };
        assert_eq!(sources(&host).collect::<Vec<_>>(), ["/tmp/a", "/tmp/b"]);
    }
}
