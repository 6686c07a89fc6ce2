//! API keys that were given to services and to the device: whom, which, and a new one for the old. They are kept with all
//! else that is remembered, and told to who checks them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Content, Memory};
use crate::host::random_hex;
use crate::model::{ApiKeys, KeyHolder, Secret};
use crate::report::ServiceKey;

/// Between application id and service name, which cannot hold it.
const SEPARATOR: char = '/';

/// A key in the file. It is written nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Kept(String);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Memory {
    pub(crate) fn api_keys(&self) -> BTreeMap<ServiceKey, Secret> {
        self.content.keys().services
    }

    /// All keys, now and whenever they change.
    pub(crate) fn watch_keys(&self) -> watch::Receiver<ApiKeys> {
        self.keys.subscribe()
    }

    /// The device's own key. It is made when it is first asked for.
    pub(crate) fn device_key(&mut self) -> io::Result<Secret> {
        if let Some(Kept(key)) = &self.content.device_key {
            return Ok(Secret::new(key.clone()));
        }
        self.replace_key(&KeyHolder::Device)
    }

    /// Gives the holder of a key another one. `None`: it is nobody's key.
    pub(crate) fn rotate_key(&mut self, key: &Secret) -> io::Result<Option<Secret>> {
        match self.content.keys().holder(key.reveal()) {
            Some(holder) => self.replace_key(&holder).map(Some),
            None => Ok(None),
        }
    }

    fn replace_key(&mut self, holder: &KeyHolder) -> io::Result<Secret> {
        let key = random_hex()?;
        let kept = Kept(key.clone());
        let mut content = self.content.clone();
        match holder {
            KeyHolder::Device => content.device_key = Some(kept),
            KeyHolder::Service(app_id, name) => {
                content.api_keys.insert(written(*app_id, name), kept);
            }
        }
        self.replace(content)?;
        Ok(Secret::new(key))
    }

    /// Makes keys for the services that lack one, and forgets those of services that are not wanted any more. A key
    /// that a service's container has already, from another agent or before the memory was lost, is kept: a new one
    /// would recreate the container. So it is when it cannot be written, too.
    pub(crate) fn keep_api_keys(
        &mut self,
        wanted: &BTreeSet<ServiceKey>,
        found: &BTreeMap<ServiceKey, Secret>,
    ) -> io::Result<()> {
        let mut content = self.content.clone();
        let names: BTreeMap<String, &ServiceKey> = wanted
            .iter()
            .map(|key| (written(key.0, &key.1), key))
            .collect();
        content.api_keys.retain(|name, _| names.contains_key(name));
        let given: BTreeSet<String> = content
            .api_keys
            .values()
            .map(|Kept(key)| key.clone())
            .collect();
        let mut made = Ok(());
        for (name, key) in names {
            if let Entry::Vacant(place) = content.api_keys.entry(name) {
                // One that another service was given is not this one's.
                match found
                    .get(key)
                    .filter(|found| !given.contains(found.reveal()))
                {
                    Some(found) => {
                        place.insert(Kept(found.reveal().to_owned()));
                    }
                    None => match random_hex() {
                        Ok(new) => {
                            place.insert(Kept(new));
                        }
                        Err(error) => made = Err(error),
                    },
                }
            }
        }
        self.hold(content).and(made)
    }

    pub(super) fn tell_keys(&self) {
        self.keys.send_if_modified(|keys| {
            let present = self.content.keys();
            let changed = *keys != present;
            *keys = present;
            changed
        });
    }
}

/// How a service is written in the file.
fn written(app_id: u32, service: &str) -> String {
    format!("{app_id}{SEPARATOR}{service}")
}

impl Content {
    pub(super) fn keys(&self) -> ApiKeys {
        let secret = |Kept(key): &Kept| Secret::new(key.clone());
        let services = self.api_keys.iter().filter_map(|(name, key)| {
            let (app, service) = name.split_once(SEPARATOR)?;
            Some(((app.parse().ok()?, service.to_owned()), secret(key)))
        });
        ApiKeys {
            device: self.device_key.as_ref().map(secret),
            services: services.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    #[test]
    fn a_key_that_a_container_has_is_kept_unless_we_gave_another() {
        let dir = tempfile::tempdir().unwrap();
        let (mut memory, _) = Memory::open(dir.path());
        let (web, worker) = ((1, "web".to_owned()), (1, "worker".to_owned()));
        let key = |key: &ServiceKey, text: &str| {
            BTreeMap::from([(key.clone(), Secret::new(text.to_owned()))])
        };
        let wanted = BTreeSet::from([web.clone(), worker.clone()]);
        memory.keep_api_keys(&wanted, &key(&web, "theirs")).unwrap();
        let keys = memory.api_keys();
        assert_eq!(keys[&web].reveal(), "theirs");
        assert_eq!(keys[&worker].reveal().len(), 32);
        memory.keep_api_keys(&wanted, &key(&web, "other")).unwrap();
        assert_eq!(memory.api_keys(), keys);
    }

    #[test]
    fn keys_hold_although_they_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let (mut memory, _) = Memory::open(dir.path());
        let (web, worker) = ((1, "web".to_owned()), (1, "worker".to_owned()));
        let wanted = BTreeSet::from([web.clone(), worker]);
        let found = BTreeMap::from([(web.clone(), Secret::new("theirs".to_owned()))]);
        let away = dir.path().with_extension("away");
        fs::rename(dir.path(), &away).unwrap();
        memory.keep_api_keys(&wanted, &found).unwrap_err();
        let keys = memory.api_keys();
        assert_eq!(keys[&web].reveal(), "theirs");
        assert_eq!(keys.len(), 2);
        fs::rename(&away, dir.path()).unwrap();
        memory.keep_api_keys(&wanted, &BTreeMap::new()).unwrap();
        assert_eq!(memory.api_keys(), keys);
        assert_eq!(Memory::open(dir.path()).0.api_keys(), keys);
    }

    #[test]
    fn a_key_that_was_given_to_one_service_is_not_found_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let (mut memory, _) = Memory::open(dir.path());
        let (web, worker) = ((1, "web".to_owned()), (1, "worker".to_owned()));
        let wanted = BTreeSet::from([web.clone()]);
        memory.keep_api_keys(&wanted, &BTreeMap::new()).unwrap();
        let key = memory.api_keys()[&web].clone();
        let found = BTreeMap::from([(worker.clone(), key.clone())]);
        let wanted = BTreeSet::from([web.clone(), worker.clone()]);
        memory.keep_api_keys(&wanted, &found).unwrap();
        assert_eq!(memory.api_keys()[&web], key);
        assert_ne!(memory.api_keys()[&worker], key);
    }

    #[test]
    fn a_key_is_made_on_demand_and_changes_only_for_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mut memory, _) = Memory::open(dir.path());
        let keys = memory.watch_keys();
        let (web, worker) = ((1, "web".to_owned()), (1, "worker".to_owned()));
        let wanted = BTreeSet::from([web.clone(), worker.clone()]);
        memory.keep_api_keys(&wanted, &BTreeMap::new()).unwrap();
        let before = memory.api_keys();
        let device = memory.device_key().unwrap();
        assert_eq!(memory.device_key().unwrap(), device);

        let rotated = memory.rotate_key(&before[&web]).unwrap().unwrap();
        assert_eq!(rotated.reveal().len(), 32);
        assert_eq!(
            memory.rotate_key(&before[&web]).unwrap(),
            None,
            "an old key"
        );
        let after = Memory::open(dir.path()).0;
        assert_eq!(after.api_keys()[&web], rotated);
        assert_eq!(after.api_keys()[&worker], before[&worker]);
        assert_eq!(*keys.borrow(), after.content.keys());
        assert_eq!(keys.borrow().device, Some(device.clone()));
        let new = memory.rotate_key(&device).unwrap().unwrap();
        assert_ne!(new, device);
        assert_eq!(memory.device_key().unwrap(), new);
        assert!(!format!("{memory:?}").contains(new.reveal()));
    }
}
