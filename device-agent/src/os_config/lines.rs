//! What `os-config` says: one line after another, as scripts and people know them.

use std::fmt;
use std::io::Write;

/// Where lines go. That nobody reads them any more is no reason to stop halfway: an SSH session may end at any time.
pub(crate) struct Lines<'a>(&'a mut dyn Write);

impl<'a> Lines<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self(out)
    }

    pub(crate) fn say(&mut self, words: fmt::Arguments<'_>) {
        drop(writeln!(self.0, "{words}"));
        drop(self.0.flush());
    }
}

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}
