//! The configuration variables of the target, for scripts of the host: before these restart the machine they look in this file
//! whether update locks are overridden (`SUPERVISOR_OVERRIDE_LOCK`).
//!
//! In: accepted targets. Out: `{"NAME":"value"}` in a file beside the directory of the services, as the reference writes it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use tokio::sync::watch;

use crate::store::{Accepted, replace_file};

/// Its name. On a device it is `/tmp/balena-supervisor/target-state-config`.
const FILE: &str = "target-state-config";

/// The file's place, by the directory of the services.
pub(crate) fn place(services_dir: &Path) -> Option<PathBuf> {
    Some(services_dir.parent()?.join(FILE))
}

/// Writes the file whenever the variables change, until there are no more targets. One that cannot be written is told, and
/// written with the next change.
pub(crate) async fn keep(file: PathBuf, mut targets: watch::Receiver<Accepted>) {
    let mut written = None;
    loop {
        let accepted = targets.borrow_and_update().clone();
        // Before the first target nothing is known that would be worth a file.
        let config = accepted.target.map(|target| target.config.clone());
        if let Some(config) = config.filter(|config| written.as_ref() != Some(config)) {
            let (to, content) = (file.clone(), config.clone());
            match tokio::task::spawn_blocking(move || write(&to, &content)).await {
                Ok(Ok(())) => written = Some(config),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the host is not told the target's configuration");
                }
                // The agent ends.
                Err(_) => return,
            }
        }
        if targets.changed().await.is_err() {
            return;
        }
    }
}

fn write(file: &Path, config: &BTreeMap<String, String>) -> io::Result<()> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    replace_file(file, &serde_json::to_vec(config)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Target;
    use crate::store::{SharedStore, Store};

    #[tokio::test]
    async fn the_host_reads_the_variables_of_the_target_that_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = place(&dir.path().join("below/services")).unwrap();
        assert_eq!(file, dir.path().join("below/target-state-config"));
        let open = || Store::open(dir.path(), Some(false), None).unwrap();
        let target = |value: &str| Target {
            config: [("SUPERVISOR_OVERRIDE_LOCK".to_owned(), value.to_owned())].into(),
            ..Target::default()
        };
        let written = async |store: Store| {
            let (store, targets) = SharedStore::new(store);
            // Without a sender it ends when it has written what there is.
            drop(store);
            keep(file.clone(), targets).await;
            fs::read_to_string(&file).ok()
        };
        assert_eq!(written(open()).await, None, "nothing was asked for");
        for value in ["true", "0"] {
            let mut store = open();
            store.put(target(value)).unwrap();
            let told = format!(r#"{{"SUPERVISOR_OVERRIDE_LOCK":"{value}"}}"#);
            assert_eq!(written(store).await, Some(told));
        }
    }
}
