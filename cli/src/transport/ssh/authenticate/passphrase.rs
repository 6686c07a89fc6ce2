//! What opens a key.

use std::fmt;

/// A passphrase. It is shown nowhere.
#[derive(Clone)]
pub struct Passphrase(String);

impl Passphrase {
    /// As it was typed.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// As it was typed.
    pub(in crate::transport::ssh) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}
