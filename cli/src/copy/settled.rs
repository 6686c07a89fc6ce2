//! What one run has settled: another attempt after a cut decides nothing of it anew, because the first one has changed what would be found.

use std::collections::BTreeMap;

use super::item::Beneath;

/// Of all sources, by their order.
#[derive(Debug, Default)]
pub struct Settled(BTreeMap<usize, Kept>);

impl Settled {
    pub(super) fn of(&mut self, source: usize) -> &mut Kept {
        self.0.entry(source).or_default()
    }
}

/// Of one source.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The folder that it goes to, and its name there.
    pub(super) place: Option<(Vec<u8>, Beneath)>,
}
