//! What the agent tells is compared with what was so between the beginning of its last reading and now.

use super::View;
use crate::model::ContainerState;
use crate::report::Snapshot;
use crate::simulation::state::{State, Time};
use agent_api::os::{ApplyState, ServiceReport};

impl State {
    pub(in crate::simulation) fn judge_report(&mut self, told: &Snapshot, view: &View) {
        let report = &told.report;
        self.note(|| {
            let services = report.services.iter();
            let services: Vec<String> = services
                .map(|s| format!("{}/{} {}", s.app_id, s.name, s.status))
                .collect();
            format!(
                "report: {} {:?} asked {} {services:?} {:?}",
                report.generation, report.state, report.asked, report.waiting
            )
        });
        if report.generation > view.generation {
            self.violated(format!("generation {} was never stored", report.generation));
        }
        let made = u64::try_from(self.judge.promises.len()).unwrap();
        if report.asked > made {
            self.violated(format!("request {} was never made", report.asked));
        }
        // Without a reading what was told last stands, and it is said that nothing is known now.
        let waiting = report.waiting.as_deref().unwrap_or_default();
        let is_blind = report.state == ApplyState::Failing
            && (waiting.starts_with("the engine's state could not be read")
                || waiting.starts_with(agent_api::os::ENGINE_AWAY));
        if !is_blind {
            self.judge.told = self.judge.reading;
        }
        let Some(reading) = self.judge.told else {
            let knows = !report.services.is_empty() || report.state == ApplyState::Applied;
            if knows {
                self.violated("something is told before anything was read".to_owned());
            }
            return;
        };
        for service in &report.services {
            if let Some(lie) = self.lie(service, reading.since) {
                self.violated(format!("it is not so that {lie}"));
            }
        }
        for image in &report.images {
            let Some(id) = &image.engine_id else { continue };
            let is_its = id.starts_with(&format!("sha256:{}-", image.name));
            if !is_its || !self.engine.had_image(id, reading.since) {
                self.violated(format!("{} is not here as {id}", image.name));
            }
        }
        // What has changed since is told by the next report.
        let stands = reading.changes == self.changes && report.generation == view.generation;
        if report.state == ApplyState::Applied && stands && view.has_target {
            let mut differences = self.differences(view, false);
            differences.extend(self.broken_promises(report.asked, view));
            if !differences.is_empty() {
                self.violated(format!(
                    "it is told that all is applied, but {differences:?}"
                ));
            }
            self.spend_force(&view.name);
        }
    }

    pub(in crate::simulation) fn lie(
        &self,
        service: &ServiceReport,
        since: Time,
    ) -> Option<String> {
        let place = format!("{}/{}", service.app_id, service.name);
        let (app, name) = (service.app_id, service.name.as_str());
        if service.locked && !self.locks.was_held(app, name, since) {
            return Some(format!("{place} holds its lock"));
        }
        if !service.locked && self.locks.is_held(app, name, since) {
            return Some(format!("{place} does not hold its lock"));
        }
        let Some(id) = &service.container_id else {
            return self
                .has_existed_since(service.app_id, &service.name, since)
                .then(|| format!("{place} has no container"));
        };
        let all = &self.engine.containers;
        let Some(container) = all.get(id).or_else(|| self.engine.gone.get(id)) else {
            return Some(format!("{place} has the container {id}"));
        };
        if container.ended.is_some_and(|ended| ended < since) {
            return Some(format!("{place} has the container {id}, which is gone"));
        }
        let code = service.exit_code;
        if code.is_some_and(|code| !container.had_code(code, since)) {
            return Some(format!("{place} has ended with {code:?}"));
        }
        let state = match service.status.as_str() {
            "Running" => ContainerState::Running,
            "Installed" => ContainerState::Created,
            "exited" => ContainerState::Exited,
            "restarting" => ContainerState::Restarting,
            "Dead" => ContainerState::Dead,
            // It is being done.
            _ => return None,
        };
        (!container.was(state, since)).then(|| format!("{place} is {}", service.status))
    }
}
