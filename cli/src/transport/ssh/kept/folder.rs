//! Where the sockets of kept connections lie, and who may make one.

use std::{
    fs::{File, Permissions},
    hash::{BuildHasher as _, RandomState},
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, open, openat},
    process::getuid,
};
use serde::Serialize;
use tokio::{
    net::{UnixListener, UnixStream},
    task::spawn_blocking,
    time::timeout,
};

use super::frames::VERSION;
use crate::transport::ssh::{AlgorithmLists, Algorithms, Place, SshTarget, host_keys::HostName};

/// How long another command may take to connect: a person may be asked something there.
const PATIENCE: Duration = Duration::from_mins(1);

/// A folder of nobody else.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

/// Held while a connection is made that others would make, too. Its file goes with it.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Through which the path leads.
    _folder: Arc<Folder>,
    /// It is let go when this is closed.
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Who waits for it sees that, and takes the next one.
        drop(fs_err::remove_file(&self.path));
    }
}

impl Folder {
    /// Opens it, or makes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !path.exists() {
            let mut folder = std::fs::DirBuilder::new();
            let made = folder.recursive(true).mode(0o700).create(path);
            made.map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let folder = File::from(open(path, flags, Mode::empty())?);
        let about = folder.metadata()?;
        if about.uid() != getuid().as_raw() || about.mode() & 0o077 != 0 {
            let problem = format!("{} is not a folder of yours alone", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
        }
        Ok(Self(folder.into()))
    }

    /// A name in it that fits into the address of a socket, however long the folder's is.
    fn at(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }

    /// Connects to who listens there as the same person.
    pub(super) async fn connect(&self, name: &str) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(self.at(name)).await?;
        is_ours(&stream)?;
        Ok(stream)
    }

    /// Listens there; nobody must.
    pub(super) fn listen(&self, name: &str) -> io::Result<(UnixListener, u64)> {
        // What is left of one that was killed.
        if let Err(error) = fs_err::remove_file(self.at(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(self.at(name))?;
        fs_err::set_permissions(self.at(name), Permissions::from_mode(0o600))?;
        Ok((listener, self.inode(name)?))
    }

    /// Removes a socket, unless it is another one by now.
    pub(super) fn remove(&self, name: &str, inode: u64) {
        if self.inode(name).is_ok_and(|now| now == inode) {
            // It is only in the way of those who would listen there, and they remove it, too.
            drop(fs_err::remove_file(self.at(name)));
        }
    }

    /// A name of nobody else beside `name`; what was left behind of such ones is removed, which only the holder of its lock may do.
    pub(super) fn own_name(&self, name: &str) -> io::Result<String> {
        let stem = format!("{name}-");
        for entry in fs_err::read_dir(self.at("."))? {
            let entry = entry?.file_name();
            let Some(own) = entry.to_str().filter(|own| own.starts_with(&stem)) else {
                continue;
            };
            let connected = std::os::unix::net::UnixStream::connect(self.at(own));
            if connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                drop(fs_err::remove_file(self.at(own)));
            }
        }
        // Its keys are random.
        let number = RandomState::new().hash_one(std::process::id());
        Ok(format!("{stem}{number:016x}"))
    }

    fn inode(&self, name: &str) -> io::Result<u64> {
        Ok(fs_err::symlink_metadata(self.at(name))?.ino())
    }

    /// Waits until nobody else is connecting; `None` when that takes too long.
    pub(super) async fn lock(self: &Arc<Self>, name: &str) -> io::Result<Option<Lock>> {
        let (folder, name) = (Arc::clone(self), format!("{name}.lock"));
        let waiting = spawn_blocking(move || {
            let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            loop {
                let file = openat(&folder.0, &name, flags, Mode::RUSR | Mode::WUSR)?;
                let file = File::from(file);
                flock(&file, FlockOperation::LockExclusive)?;
                let inode = file.metadata()?.ino();
                // Whoever had it before has removed it, unless that one was killed.
                if folder.inode(&name).is_ok_and(|now| now == inode) {
                    return Ok::<_, io::Error>(Lock {
                        path: folder.at(&name),
                        _folder: folder,
                        _file: file,
                    });
                }
            }
        });
        match timeout(PATIENCE, waiting).await {
            Ok(taken) => taken.map_err(io::Error::other)?.map(Some),
            Err(_) => Ok(None),
        }
    }
}

/// Whether the process on the other side is one of the same person.
pub(super) fn is_ours(stream: &UnixStream) -> io::Result<()> {
    if stream.peer_cred()?.uid() == getuid().as_raw() {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

/// What has to be the same for a connection to be used by another command. Addresses need not: a device is known by its key.
#[derive(Debug, Serialize)]
struct Same<'a> {
    host: &'a HostName,
    port: Option<u16>,
    /// The cloud through which it is reached.
    cloud: Option<&'a str>,
    user: &'a str,
    identity_files: &'a [PathBuf],
    certificate_files: &'a [PathBuf],
    identities_only: bool,
    agent: &'a Option<PathBuf>,
    algorithms: Algorithms,
    lists: &'a AlgorithmLists,
    jump: Option<Box<Same<'a>>>,
}

impl<'a> Same<'a> {
    fn of(target: &'a SshTarget) -> Self {
        Self {
            host: &target.host,
            port: match &target.place {
                Place::Addresses(addresses) => addresses.first().map(std::net::SocketAddr::port),
                Place::Host(_, port) => Some(*port),
                Place::Cloud(tunnel) => Some(tunnel.port),
            },
            cloud: match &target.place {
                Place::Cloud(tunnel) => Some(&tunnel.server.host),
                Place::Addresses(_) | Place::Host(..) => None,
            },
            user: &target.user,
            identity_files: &target.identity_files,
            certificate_files: &target.certificate_files,
            identities_only: target.identities_only,
            agent: &target.agent,
            algorithms: target.algorithms,
            lists: &target.lists,
            jump: target.jump.as_deref().map(|jump| Box::new(Self::of(jump))),
        }
    }
}

/// Name of the socket of the `slot`-th connection to a target.
pub(super) fn name_of(target: &SshTarget, slot: usize) -> io::Result<String> {
    let same = serde_json::to_vec(&Same::of(target)).map_err(io::Error::other)?;
    let digest = blake3::hash(&same).to_hex();
    let digest: String = digest.chars().take(24).collect();
    Ok(format!("{VERSION}-{digest}-{slot}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{
        Authorities, TlsServer,
        cloud_tunnel::{CloudTunnel, Token},
        ssh::config::{AlgorithmList, Combine},
    };

    fn target() -> SshTarget {
        let host = HostName::device("5eee").unwrap();
        let place = Place::Addresses(vec!["10.0.0.1:22222".parse().unwrap()]);
        SshTarget::new("kitchen", host, place)
    }

    fn behind(cloud: &str) -> Place {
        Place::Cloud(Box::new(CloudTunnel {
            server: TlsServer {
                host: format!("tunnel.{cloud}"),
                port: 443,
                authorities: Authorities::default(),
                proxy: None,
            },
            token: Token::parse("secret").unwrap(),
            uuid: "5eee".to_owned(),
            port: 22222,
        }))
    }

    #[test]
    fn a_connection_is_shared_by_those_who_would_make_the_same() {
        let name = |target: &SshTarget| name_of(target, 0).unwrap();
        let first = name(&target());
        let elsewhere = SshTarget {
            name: "kitchen.local".to_owned(),
            place: Place::Addresses(vec!["[fe80::1]:22222".parse().unwrap()]),
            known_key_kinds: vec!["ssh-ed25519".to_owned()],
            ..target()
        };
        assert_eq!(name(&elsewhere), first);
        let others = [
            SshTarget {
                host: HostName::device("abba").unwrap(),
                ..target()
            },
            SshTarget {
                place: Place::Addresses(vec!["10.0.0.1:22".parse().unwrap()]),
                ..target()
            },
            SshTarget {
                place: behind("cloud.test"),
                ..target()
            },
            SshTarget {
                place: behind("other.test"),
                ..target()
            },
            SshTarget {
                user: "ann".to_owned(),
                ..target()
            },
            SshTarget {
                identity_files: vec!["/home/ann/key".into()],
                ..target()
            },
            SshTarget {
                certificate_files: vec!["/home/ann/certificate".into()],
                ..target()
            },
            SshTarget {
                lists: AlgorithmLists {
                    ciphers: Some(AlgorithmList {
                        how: Combine::Replace,
                        names: vec!["aes256-ctr".to_owned()],
                    }),
                    ..AlgorithmLists::default()
                },
                ..target()
            },
            SshTarget {
                identities_only: true,
                ..target()
            },
            SshTarget {
                agent: Some("/run/agent".into()),
                ..target()
            },
            SshTarget {
                algorithms: Algorithms::WithOld,
                ..target()
            },
            SshTarget {
                jump: Some(Box::new(target())),
                ..target()
            },
        ];
        let mut names = std::collections::BTreeSet::from([first]);
        for other in others {
            assert!(names.insert(name(&other)), "{other:?}");
        }
        assert!(names.insert(name_of(&target(), 1).unwrap()));
    }

    #[tokio::test]
    async fn sockets_lie_where_nobody_else_comes_however_long_its_name_is() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("x".repeat(200)).join("ssh");
        let folder = Folder::open(&path).unwrap();
        let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        let (_listener, inode) = folder.listen("name").unwrap();
        folder.connect("name").await.unwrap();
        folder.remove("name", inode + 1);
        assert!(path.join("name").exists());
        // One that was left behind is no hindrance.
        let (_listener, inode) = folder.listen("name").unwrap();
        folder.remove("name", inode);
        assert!(!path.join("name").exists());
        fs_err::set_permissions(&path, Permissions::from_mode(0o750)).unwrap();
        Folder::open(&path).unwrap_err();
    }

    #[tokio::test]
    async fn one_at_a_time_has_the_lock_and_nothing_of_it_stays() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("ssh");
        let folder = Arc::new(Folder::open(&path).unwrap());
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (folder, count) = (Arc::clone(&folder), Arc::clone(&count));
            all.spawn(async move {
                let lock = folder.lock("name").await.unwrap().unwrap();
                assert_eq!(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                count.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                drop(lock);
            });
        }
        assert_eq!(all.join_all().await.len(), 20);
        assert_eq!(fs_err::read_dir(&path).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_killed_one_left_of_its_own_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("ssh");
        let folder = Folder::open(&path).unwrap();
        let own = || folder.own_name("1-abc-1").unwrap();
        let (lives, left) = (own(), own());
        assert_ne!(lives, left);
        let (_listener, _) = folder.listen(&lives).unwrap();
        let other = folder.own_name("1-abc-10").unwrap();
        drop(folder.listen(&left).unwrap());
        drop(folder.listen(&other).unwrap());
        own();
        assert!(path.join(&lives).exists());
        assert!(!path.join(&left).exists());
        assert!(path.join(&other).exists());
    }
}
