//! Where a compose file's values come from. Plain data.

use std::{collections::BTreeMap, path::Path};

/// What all services of a project share.
pub(super) struct Scope<'a> {
    /// The project's folder.
    pub(super) root: &'a Path,
    /// The folder of the first compose file: paths count from here.
    pub(super) folder: &'a Path,
    /// For values that are taken from outside.
    pub(super) environment: &'a BTreeMap<String, String>,
}
