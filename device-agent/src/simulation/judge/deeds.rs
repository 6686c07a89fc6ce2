//! What the present agent has begun and how it ended: reports may say no more of it.

use std::collections::BTreeMap;

use crate::engine::EngineError;
use crate::model::Step;
use crate::simulation::state::{State, Time};

/// Steps that the agent does side by side.
const PARALLEL: usize = 8;

/// A step that was begun.
#[derive(Debug)]
struct Deed {
    step: Step,
    ended: Option<Time>,
    error: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Deeds {
    all: Vec<Deed>,
    /// How far images are that are fetched, 0..=100, by reference.
    progress: BTreeMap<String, u8>,
}

impl Deeds {
    /// Whether something like this was under way at some time since.
    pub(super) fn was_doing(&self, since: Time, is_it: impl Fn(&Step) -> bool) -> bool {
        let since = self.since(since);
        since.map(|deed| &deed.step).any(is_it)
    }

    fn since(&self, since: Time) -> impl Iterator<Item = &Deed> {
        let lasted = move |deed: &&Deed| deed.ended.is_none_or(|ended| ended >= since);
        self.all.iter().filter(lasted)
    }

    /// Whether a step has failed with these words, and no later one of its kind had succeeded before a time.
    pub(super) fn has_failed(&self, key: &str, error: &str, since: Time) -> bool {
        let of_it: Vec<&Deed> = self.all.iter().filter(|d| d.step.key() == key).collect();
        let is_it = |deed: &&Deed| deed.error.as_deref() == Some(error);
        let Some(last) = of_it.iter().rposition(is_it) else {
            return false;
        };
        let mut later = of_it.iter().skip(last);
        !later.any(|deed| deed.error.is_none() && deed.ended.is_some_and(|ended| ended < since))
    }

    /// Whether anything has failed.
    pub(super) fn is_any_failed(&self) -> bool {
        self.all.iter().any(|deed| deed.error.is_some())
    }

    /// How far a pull of an image has come that was under way at some time since.
    pub(super) fn progress(&self, image: &str, since: Time) -> Option<u8> {
        let is_it = |step: &Step| matches!(step, Step::Pull { image: its, .. } if its == image);
        let percent = self.progress.get(image).copied();
        percent.filter(|_| self.was_doing(since, is_it))
    }

    /// That of the image which is nearest to its end.
    pub(super) fn most_progress(&self, since: Time) -> Option<u8> {
        let all = self.progress.keys();
        all.filter_map(|image| self.progress(image, since)).max()
    }

    /// Whether so many steps are under way that others of their stage are not begun yet.
    pub(super) fn is_full(&self) -> bool {
        let open = self.all.iter().filter(|deed| deed.ended.is_none());
        let waited_for = open.filter(|deed| !deed.step.is_background());
        waited_for.count() >= PARALLEL
    }

    /// Whether a step is under way that is waited for.
    pub(super) fn is_busy(&self) -> bool {
        let mut open = self.all.iter().filter(|deed| deed.ended.is_none());
        open.any(|deed| !deed.step.is_background())
    }
}

impl State {
    /// The agent begins a step. What comes back names it.
    pub(in crate::simulation) fn begins(&mut self, step: &Step) -> usize {
        self.judge.deeds.all.push(Deed {
            step: step.clone(),
            ended: None,
            error: None,
        });
        self.judge.deeds.all.len() - 1
    }

    /// It has ended.
    pub(in crate::simulation) fn ends(&mut self, deed: usize, outcome: Result<(), &EngineError>) {
        let now = self.now;
        // An agent before this one may have begun it.
        if let Some(deed) = self.judge.deeds.all.get_mut(deed) {
            deed.ended = Some(now);
            deed.error = outcome.err().map(ToString::to_string);
        }
    }

    /// So much of an image is here.
    pub(in crate::simulation) fn fetches(&mut self, image: &str, percent: u8) {
        let progress = &mut self.judge.deeds.progress;
        progress.insert(image.to_owned(), percent);
    }
}
