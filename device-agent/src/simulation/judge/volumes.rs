//! No volume goes without being asked for: by a purge or a clean-up, by a word that lets it go, by the end of a local
//! session in which it came.

use std::collections::BTreeSet;

use super::asked::Promise;
use super::{Answer, Sent};
use crate::model::{Inventory, ObservedVolume, Step};
use crate::simulation::engine::Volume;
use crate::simulation::met::Met;
use crate::simulation::spec::Spec;
use crate::simulation::state::{State, Time};

/// After the end of a session was confirmed, steps of it may still be under way, for so many milliseconds.
const UNDER_WAY: Time = 10_000;

/// A local session.
#[derive(Debug)]
pub(in crate::simulation) struct Session {
    /// Contents of the volumes that there were.
    before: BTreeSet<u64>,
    /// When its end was asked for last, and confirmed.
    end: Option<(Time, Option<Time>)>,
}

impl State {
    /// A session is about to begin, with what was here a moment ago.
    pub(in crate::simulation) fn sends_begin(&mut self, present: &Inventory) {
        self.switches();
        self.note_before(present);
        let before = self.engine.volumes.values().map(|v| v.content).collect();
        self.judge.sessions.push(Session { before, end: None });
        self.sends_change();
    }

    /// Local mode is switched on or off.
    fn switches(&mut self) {
        if self.judge.deeds.is_busy() {
            self.counts.add(Met::SwitchMidWay);
        }
        self.may_mean_of_any();
    }

    /// A session is about to end.
    pub(in crate::simulation) fn sends_end(&mut self) {
        self.switches();
        let now = self.now;
        for session in &mut self.judge.sessions {
            session.end = Some((now, None));
        }
        self.sends_change();
    }

    /// A session has ended.
    pub(in crate::simulation) fn hears_of_end(&mut self) {
        let now = self.now;
        for session in &mut self.judge.sessions {
            if let Some((_, confirmed @ None)) = &mut session.end {
                *confirmed = Some(now);
            }
        }
        self.note_leftovers();
    }

    /// A volume is about to go.
    pub(in crate::simulation) fn judge_volume(&mut self, name: &str, volume: &Volume) {
        let mut promises = self.judge.promises.iter();
        let asked = promises.find(|p| p.condemns.contains(&volume.content));
        if let Some(met) = asked.map(Promise::met) {
            self.counts.add(met);
        } else if self.is_let_go(volume) || self.judge.let_go.contains(&volume.content) {
            self.counts.add(Met::LetGo);
        } else if self.judge.losses.is_betrayed && !volume.is_used {
            // What has become of it is lost, and so is nothing else.
        } else if !self.is_of_session(volume) {
            self.violated(format!("volume {name} goes without being asked for"));
        }
    }

    fn is_let_go(&self, volume: &Volume) -> bool {
        let Some(told) = &volume.told else {
            return false;
        };
        let mut specs = self
            .sent_lately()
            .map(|sent| &self.judge.specs[sent.number]);
        specs.any(|spec| lets_go(spec, told))
    }

    /// A removal begins. The engine may be late with it, and the target another one then.
    pub(super) fn note_let_go(&mut self, step: &Step) {
        let Step::RemoveVolume { name, .. } = step else {
            return;
        };
        let Some(volume) = self.engine.volumes.get(name) else {
            return;
        };
        let read_for = self.judge.read_for.as_ref();
        let mut specs = self.judge.specs.iter();
        let spec = specs.find(|spec| Some(&spec.name) == read_for);
        let told = spec.zip(volume.told.as_ref());
        if told.is_some_and(|(spec, told)| lets_go(spec, told)) {
            self.judge.let_go.insert(volume.content);
        }
    }

    fn is_of_session(&self, volume: &Volume) -> bool {
        let fleet = self.judge.sent[1].iter().filter(|sent| !sent.is_refused());
        let fleet = fleet.rev().take(2);
        let is_named = |sent: &Sent| {
            volume.told.as_ref().is_some_and(|told| {
                let app = self.judge.specs[sent.number].apps.get(&told.app_id);
                app.is_some_and(|app| {
                    app.has_commit && app.volumes.contains_key(&told.logical_name)
                })
            })
        };
        let is_surely_named = |sent: &Sent| sent.answer == Answer::Stored && is_named(sent);
        let is_fleets = fleet.clone().next().is_some() && fleet.clone().all(is_surely_named);
        let came_in = |session: &Session| match session.end {
            Some((_, Some(end))) => {
                !session.before.contains(&volume.content) && volume.asked_at <= end + UNDER_WAY
            }
            Some((_, None)) => !session.before.contains(&volume.content),
            None => false,
        };
        // The fleet's targets may be lost.
        let is_fleets = is_fleets && !self.judge.losses.is_betrayed;
        !is_fleets && self.judge.sessions.iter().any(came_in)
    }
}

/// Whether a target has a volume otherwise, and lets go of its data for that.
fn lets_go(spec: &Spec, told: &ObservedVolume) -> bool {
    let app = spec.apps.get(&told.app_id);
    let label = app.and_then(|app| app.volumes.get(&told.logical_name));
    let is_changed = label.is_some_and(|v| told.spec.labels.get("v") != Some(&v.to_string()));
    is_changed && spec.discard.contains(&told.logical_name)
}
