//! Build secrets on a device: given to builds, and taken away again whatever happens.
//!
//! In: the files of a service. Out: what a build has to mount. balenaEngine mounts folders of its own host in builds, so the files
//! are put into a volume, and the volume's folder is mounted. A note in the state folder says that something of ours may be on the
//! device; it outlives this process, so that the next push removes what a killed one left.
//!
//! That balenaEngine takes `volumes` in this form was read in its source; it was tried out with an engine that calls itself
//! balenaEngine and is not.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use fs_err::os::unix::fs::OpenOptionsExt;
use tokio::sync::Mutex;

use super::record::file_name;
use crate::{
    engine::{Engine, EngineError},
    project::metadata::SecretFiles,
};

/// Label of the volumes, images and containers; its value is the owner.
const LABEL: &str = "os.build-secrets";

/// What their names begin with; random digits follow.
const PREFIX: &str = "os-build-secrets-";

/// Where a build finds its secrets.
const MOUNTED_AT: &str = "/run/secrets";

/// Source of random bytes.
const RANDOM: &str = "/dev/urandom";

/// The build secrets of one push to one device.
#[derive(Debug)]
pub struct SecretStore {
    engine: Engine,
    folder: PathBuf,
    note: PathBuf,
    device: String,
    /// Held while something is made on the device, so that nothing is removed before it is there.
    making: Arc<Mutex<()>>,
}

impl SecretStore {
    /// The store of a device. `folder` is in the user's state and is for this alone; `key` tells the device from others.
    #[must_use]
    pub fn new(folder: &Path, key: &str, engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            note: folder.join(format!("{}.open", file_name(key))),
            folder: folder.to_owned(),
            device: key.to_owned(),
            making: Arc::default(),
        }
    }

    /// A digest that changes with the files too and from which nothing about them can be found out: its key is this user's alone.
    pub(super) fn seal(&self, files: &SecretFiles, digest: &str) -> io::Result<String> {
        Ok(files.seal(&self.key()?, digest))
    }

    /// Notes that from now on something may have to be removed, and removes what there is already.
    pub(super) async fn open(&self) -> Result<(), OpenError> {
        self.key()?;
        fs_err::write(&self.note, "")?;
        Ok(self.remove().await?)
    }

    /// Puts files where a build can mount them, and returns what it has to be told. [`Self::open`] comes before it.
    pub(super) async fn put(&self, files: &SecretFiles) -> Result<String, EngineError> {
        let unusable = |source: io::Error| EngineError::Context(source.into());
        let archive = files.archive().map_err(unusable)?;
        let name = format!("{PREFIX}{}", digits(random().map_err(unusable)?.into()));
        let owner = self.owner().map_err(unusable)?;
        let engine = self.engine.clone();
        let turn = Arc::clone(&self.making).lock_owned().await;
        // A task of its own: an interrupted push must not leave the engine in the middle of making something.
        let task = tokio::spawn(async move {
            let folder = engine.put_files(&name, (LABEL, &owner), archive).await;
            drop(turn);
            folder
        });
        let folder = task.await.unwrap_or_else(|_| {
            Err(EngineError::Unfinished {
                peer: self.engine.http().peer(),
                what: "transfer of build secrets",
            })
        })?;
        Ok(format!("{folder}:{MOUNTED_AT}:ro"))
    }

    /// Removes all that this or an earlier push may have left on the device; asks the device nothing when that is nothing.
    pub async fn clear(&self) -> Result<(), EngineError> {
        if !self.note.exists() {
            return Ok(());
        }
        self.remove().await?;
        // A note that stays makes the next push look once more.
        drop(fs_err::remove_file(&self.note));
        Ok(())
    }

    async fn remove(&self) -> Result<(), EngineError> {
        let _turn = self.making.lock().await;
        // Without the key nothing was made either.
        let Ok(owner) = self.owner() else {
            return Ok(());
        };
        self.engine.remove_files(PREFIX, (LABEL, &owner)).await
    }

    /// Stands for this user and this device in a label that others can read. Two devices may share one engine.
    fn owner(&self) -> io::Result<String> {
        let hash = blake3::keyed_hash(&self.key()?, self.device.as_bytes());
        Ok(digits(hash))
    }

    /// The user's key; made when there is none.
    fn key(&self) -> io::Result<[u8; 32]> {
        let path = self.folder.join("key");
        if let Some(key) = read_key(&path)? {
            return Ok(key);
        }
        fs_err::create_dir_all(&self.folder)?;
        let temporary = self.folder.join(format!("key.{}", std::process::id()));
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&temporary)?.write_all(&random()?)?;
        // A key that another push has made meanwhile wins.
        let linked = fs_err::hard_link(&temporary, &path);
        fs_err::remove_file(&temporary)?;
        match read_key(&path)? {
            Some(key) => Ok(key),
            None => linked.and_then(|()| Err(io::ErrorKind::NotFound.into())),
        }
    }
}

/// Why no build may be given secrets now.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] io::Error),
    /// The engine cannot be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The key in a file; `None` when there is none. What has another length was not written by us and is replaced.
fn read_key(path: &Path) -> io::Result<Option<[u8; 32]>> {
    let mut bytes = Vec::new();
    match fs_err::File::open(path) {
        Ok(file) => file.take(33).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match bytes.try_into() {
        Ok(key) => Ok(Some(key)),
        Err(_) => fs_err::remove_file(path).map(|()| None),
    }
}

fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fs_err::File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A name part of 32 hex digits.
fn digits(hash: blake3::Hash) -> String {
    hash.to_hex().chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::transport::Endpoint;

    fn store(folder: &Path, device: &str) -> SecretStore {
        let nobody = Endpoint::Unix(folder.join("no engine"));
        SecretStore::new(&folder.join("secrets"), device, &Engine::new("d", nobody))
    }

    #[test]
    fn the_key_is_made_once_for_the_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|device| store(folder.path(), device));
        assert_ne!(a.owner().unwrap(), b.owner().unwrap());
        assert_eq!(a.key().unwrap(), b.key().unwrap());
        let path = folder.path().join("secrets/key");
        let mode = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files: Vec<_> = fs_err::read_dir(folder.path().join("secrets"))
            .unwrap()
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let before = a.key().unwrap();
        fs_err::write(&path, "rubbish").unwrap();
        assert_ne!(a.key().unwrap(), before);
        let key = digits(a.key().unwrap().into());
        assert!(!a.owner().unwrap().contains(&key[..8]));
    }

    #[tokio::test]
    async fn the_engine_is_left_alone_unless_something_may_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), "../a");
        store.clear().await.unwrap();
        store.open().await.unwrap_err();
        // What could not be removed is looked for again.
        store.clear().await.unwrap_err();
        assert!(folder.path().join("secrets/___a.open").exists());
    }
}
