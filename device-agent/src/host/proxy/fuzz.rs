//! A door for the fuzz target of redsocks.conf.

use super::redsocks;

/// The text of the file that would be written for the server in a text; `None` when there is none in it.
pub fn redsocks_conf(text: &str) -> Option<String> {
    redsocks::parse(text).as_ref().map(redsocks::print)
}
