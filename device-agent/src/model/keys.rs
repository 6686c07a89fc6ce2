//! Keys with which the agent's API is opened, and what each opens.

use std::collections::BTreeMap;

use super::Secret;

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyHolder {
    /// The device's own: for its cloud, or who has the rights of root.
    Device,
    /// A service's, by application id and name.
    Service(u32, String),
}

/// What a request may see and change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Global,
    /// One application, and the device as a whole.
    App(u32),
}

impl Scope {
    /// Whether an application is in it.
    #[must_use]
    pub fn holds(self, app_id: u32) -> bool {
        match self {
            Self::Global => true,
            Self::App(id) => id == app_id,
        }
    }
}

impl KeyHolder {
    /// What the holder's key opens.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self {
            Self::Device => Scope::Global,
            Self::Service(app_id, _) => Scope::App(*app_id),
        }
    }
}

/// All keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiKeys {
    /// The device's own, once somebody asked for it.
    pub device: Option<Secret>,
    /// Those of services, by application id and name.
    pub services: BTreeMap<(u32, String), Secret>,
}

impl ApiKeys {
    /// Whose key this is. How long it takes does not tell how much of a key is right.
    #[must_use]
    pub fn holder(&self, key: &str) -> Option<KeyHolder> {
        if key.is_empty() {
            return None;
        }
        // Digests are compared in constant time.
        let given = blake3::hash(key.as_bytes());
        let is_it = |known: &Secret| blake3::hash(known.reveal().as_bytes()) == given;
        if self.device.as_ref().is_some_and(is_it) {
            return Some(KeyHolder::Device);
        }
        let mut services = self.services.iter();
        let ((app_id, name), _) = services.find(|(_, known)| is_it(known))?;
        Some(KeyHolder::Service(*app_id, name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_what_its_holder_may() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let keys = ApiKeys {
            device: Some(secret("d")),
            services: [((7, "web".to_owned()), secret("w"))].into(),
        };
        assert_eq!(keys.holder("d"), Some(KeyHolder::Device));
        let web = keys.holder("w").unwrap();
        assert_eq!(web, KeyHolder::Service(7, "web".to_owned()));
        assert!(web.scope().holds(7) && !web.scope().holds(8));
        assert!(KeyHolder::Device.scope().holds(8));
        for wrong in ["", "x", "dd"] {
            assert_eq!(keys.holder(wrong), None, "{wrong}");
        }
        assert!(!format!("{keys:?}").contains("\"w\""));
    }
}
