//! What the agent tells is compared with what was so between the beginning of its last reading and now: whole reports here,
//! single services in `services`, what is waited for in `waits`.

use std::collections::BTreeMap;

use super::View;
use super::waits::waits_for_restart;
use crate::model::ContainerState;
use crate::report::Snapshot;
use crate::simulation::state::{State, Time};
use agent_api::os::ApplyState;

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
        let is_blind = is_blind(told);
        if !is_blind || self.judge.told.is_none() {
            // A report may be followed by one without a reading before anybody looks at it.
            self.judge.told = self.judge.reading;
            self.judge.told_for = self.judge.read_for.clone();
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
        self.judge_lists(told, reading.since);
        if is_blind {
            return;
        }
        self.judge_whole(told, view, reading.since);
        self.count_rejected(told, view);
        if report.generation == view.generation && view.has_target {
            self.judge_missing(told, view, reading.since);
        }
        // What has changed since is told by the next report.
        let stands = reading.changes == self.changes && report.generation == view.generation;
        if report.state == ApplyState::Applied && stands && view.has_target {
            let mut differences = self.differences(view, false);
            differences.extend(self.broken_promises(report.asked, view));
            differences.extend(unreached(told, view));
            if !differences.is_empty() {
                self.violated(format!(
                    "it is told that all is applied, but {differences:?}"
                ));
            }
            self.spend_force(&view.name);
            self.reasons_are_done(view);
        }
    }

    /// Containers and images, in both lists.
    fn judge_lists(&mut self, told: &Snapshot, since: Time) {
        let of_report = told.report.services.iter();
        let mut of_report: Vec<&String> =
            of_report.filter_map(|s| s.container_id.as_ref()).collect();
        let of_list = told.containers.iter();
        let mut of_list: Vec<&String> = of_list.map(|c| &c.container_id).collect();
        of_report.sort();
        of_list.sort();
        if of_report != of_list {
            self.violated(format!(
                "the lists of containers differ: {of_report:?} and {of_list:?}"
            ));
        }
        for container in &told.containers {
            if let Some(lie) = self.lie_of_container(container) {
                self.violated(format!("it is not so that {lie}"));
            }
        }
        for image in &told.report.images {
            let name = &image.name;
            match &image.engine_id {
                Some(id) => {
                    let is_its = id.starts_with(&format!("sha256:{name}-"));
                    if !is_its || !self.engine.had_image(id, since) {
                        self.violated(format!("{name} is not here as {id}"));
                    }
                }
                None if self.engine.had_tag_all_the_time(name, since) => {
                    self.violated(format!("{name} is here, which is not told"));
                }
                None => {}
            }
        }
    }

    /// What is said of the device as a whole.
    fn judge_whole(&mut self, told: &Snapshot, view: &View, since: Time) {
        let report = &told.report;
        for image in &report.images {
            let Some(percent) = image.download_progress else {
                continue;
            };
            let so_far = self.judge.deeds.progress(&image.name, since);
            if so_far.is_none_or(|so_far| percent > so_far) {
                self.violated(format!(
                    "{percent} % of {} are here; it is {so_far:?}",
                    image.name
                ));
            }
        }
        if told.progress > self.judge.deeds.most_progress(since) {
            self.violated(format!("{:?} % of all images are here", told.progress));
        }
        if let Some(text) = &report.waiting
            && let Some(lie) = self.false_wait_of_device(text, since)
        {
            self.violated(format!("it is not so that {lie:?}"));
        }
        if report.state == ApplyState::Failing
            && report.waiting.is_none()
            && !self.judge.deeds.is_any_failed()
            // A stop that could not be noted is not begun, and has failed.
            && self.judge.losses.refusals.is_empty()
        {
            self.violated("it fails, and nothing says why".to_owned());
        }
        if report.state == ApplyState::Applied && report.waiting.is_some() {
            let waiting = &report.waiting;
            self.violated(format!("all is applied, and {waiting:?} is waited for"));
        }
        for (app, commit) in &told.releases {
            let sent = self.judge.sent.iter().flatten();
            let mut specs = sent.map(|sent| &self.judge.specs[sent.number]);
            let is_known = specs.any(|spec| {
                let app = spec.apps.get(app).filter(|app| app.has_commit);
                app.is_some_and(|app| format!("c{}", app.revision) == *commit)
            });
            if !is_known {
                self.violated(format!("{app} was never to be at {commit}"));
            }
        }
        if told.wants_restart {
            self.judge_wish_for_restart(view, since);
        }
    }

    fn judge_wish_for_restart(&mut self, view: &View, since: Time) {
        let waits = self.all_containers();
        let waits = waits
            .filter(|c| waits_for_restart(c, since))
            .any(|c| c.was(ContainerState::Created, since));
        if !waits {
            self.violated("the machine is to be restarted, and nothing waits for it".to_owned());
        }
        if self.judge.deeds.is_busy() {
            self.violated("the machine is to be restarted in the middle of a step".to_owned());
        }
        let apps: Vec<u32> = view.apps.keys().copied().collect();
        for app in apps {
            let held = ["a", "b", "c"]
                .iter()
                .any(|service| self.locks.is_held(app, service, since));
            if held && !self.is_forced(app) {
                self.violated(format!(
                    "the machine is to be restarted though {app} is locked"
                ));
            }
        }
    }

    /// What is here and what is wanted is told.
    fn judge_missing(&mut self, told: &Snapshot, view: &View, since: Time) {
        let is_told = |id: &str| told.containers.iter().any(|c| c.container_id == *id);
        let all = self.engine.containers.values();
        let hidden = all.filter(|c| c.born < since && !is_told(&c.told.id));
        let mut missing: Vec<String> = hidden.map(|c| c.told.name.clone()).collect();
        for (id, app) in &view.apps {
            for name in app.services.keys() {
                let mut services = told.report.services.iter();
                if !services.any(|s| s.app_id == *id && s.name == *name) {
                    missing.push(format!("{id}/{name}"));
                }
            }
        }
        if !missing.is_empty() {
            self.violated(format!("nothing is told of {missing:?}"));
        }
    }
}

/// Whether it says that nothing is known now.
pub(super) fn is_blind(told: &Snapshot) -> bool {
    let waiting = told.report.waiting.as_deref().unwrap_or_default();
    told.report.state == ApplyState::Failing
        && (waiting.starts_with("the engine's state could not be read")
            || waiting.starts_with(agent_api::os::ENGINE_AWAY))
}

/// Applications whose release is told to be another one than that which is applied.
fn unreached(told: &Snapshot, view: &View) -> Vec<String> {
    let wanted = view.apps.iter().filter(|(_, app)| app.has_commit);
    let wanted: BTreeMap<u32, String> = wanted
        .map(|(id, app)| (*id, format!("c{}", app.revision)))
        .collect();
    let differs = |(app, commit): &(&u32, &String)| told.releases.get(app) != Some(commit);
    let differing = wanted.iter().filter(differs);
    let told = |(app, commit): (&u32, &String)| format!("{app} is not told to be at {commit}");
    differing.map(told).collect()
}
