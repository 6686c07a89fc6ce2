//! Contracts: nothing of a release is begun that is rejected, and nothing of what ran before is touched; a service that its
//! release does without is not there.

use super::View;
use crate::model::{Step, names};
use crate::report::Snapshot;
use crate::simulation::met::Met;
use crate::simulation::spec::{AppSpec, Contract, ServiceSpec};
use crate::simulation::state::State;

impl State {
    /// The agent begins a step.
    pub(super) fn judge_contract(&mut self, step: &Step) {
        let Some((app, service)) = self.about(step) else {
            return;
        };
        let Some(Some(wanted)) = self.wanted(app) else {
            return;
        };
        let is_let_go = matches!(step, Step::ReleaseLocks { .. });
        let is_left_out = |name: &str| {
            let service = wanted.services.get(name);
            service.is_some_and(ServiceSpec::is_left_out)
        };
        let is_end = matches!(step, Step::Kill { .. });
        if wanted.is_rejected() && !is_let_go {
            let violation = format!("{} though the release is rejected", step.key());
            self.violated(violation);
        } else if service.as_deref().is_some_and(is_left_out) {
            if is_end {
                self.counts.add(Met::LeftOut);
            } else {
                let violation = format!("{} though the release does without it", step.key());
                self.violated(violation);
            }
        }
    }

    /// The application, and perhaps the service, that a step is about.
    fn about(&self, step: &Step) -> Option<(u32, Option<String>)> {
        if let Some((app, service)) = step.about() {
            return Some((app, service.map(str::to_owned)));
        }
        match step {
            Step::CreateNetwork { name, .. } | Step::CreateVolume { name, .. } => {
                let (owner, _) = names::parse_owned(name, None)?;
                Some((owner.parse().ok()?, None))
            }
            Step::RemoveNetwork { id, .. } => {
                let network = self.engine.networks.get(id)?;
                Some((network.app_id, None))
            }
            _ => None,
        }
    }

    /// Whether it is so that a service requires what the device does not have; `None` where that is not said.
    pub(super) fn is_contract(&self, app: u32, text: &str) -> Option<bool> {
        if text.starts_with("this device has ") {
            return Some(self.may_be_rejected(app));
        }
        let (name, _) = text.strip_prefix("service ")?.split_once(" requires ")?;
        let Some(wanted) = self.wanted(app) else {
            return Some(self.may_be_rejected(app));
        };
        let service = wanted.and_then(|app| app.services.get(name));
        let is_unmet = service.is_some_and(|s| s.contract == Contract::Unmet && !s.is_optional);
        Some(is_unmet)
    }

    /// Whether the release of an application is rejected, or may be.
    pub(super) fn may_be_rejected(&self, app: u32) -> bool {
        match self.wanted(app) {
            Some(wanted) => wanted.is_some_and(AppSpec::is_rejected),
            None => self.judge.specs.iter().any(|spec| {
                let app = spec.apps.get(&app);
                app.is_some_and(AppSpec::is_rejected)
            }),
        }
    }

    /// A target is told in which a release is rejected, of which there is another one.
    pub(super) fn count_rejected(&mut self, told: &Snapshot, view: &View) {
        let generation = told.report.generation;
        let rejected = view.apps.iter().filter(|(_, app)| app.is_rejected());
        let mut rejected = rejected.map(|(id, _)| *id);
        let is_there = |app| {
            let mut all = self.engine.containers.values();
            all.any(|c| c.told.app_id == app && c.is_up())
        };
        let is_new = generation == view.generation && self.judge.rejected_in != generation;
        if is_new && rejected.any(is_there) {
            self.judge.rejected_in = generation;
            self.counts.add(Met::Rejected);
        }
    }
}
