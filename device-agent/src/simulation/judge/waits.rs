//! What the agent says that it waits for is so. Words that are not known here are a fault of whoever wrote them: each kind
//! must be judged.

use std::collections::BTreeSet;

use crate::model::ContainerState;
use crate::simulation::engine::Container;
use crate::simulation::met::Met;
use crate::simulation::spec::NetworkChoice;
use crate::simulation::state::{State, Time};

/// The second half of what is told when there is no room.
const MAKE_ROOM: &str = "remove images or volumes that are not needed";

impl State {
    /// The first part of a text about an application that was not so at any time since.
    pub(super) fn false_wait(&self, app: u32, text: &str, since: Time) -> Option<String> {
        let mut parts = text.split("; ");
        let lie = parts.find(|part| *part != MAKE_ROOM && !self.waits(app, part, since))?;
        Some(lie.to_owned())
    }

    /// The same for a text about the whole device.
    pub(super) fn false_wait_of_device(&self, text: &str, since: Time) -> Option<String> {
        let sent = self.judge.sent.iter().flatten();
        let apps = sent.flat_map(|sent| self.judge.specs[sent.number].apps.keys());
        let apps: BTreeSet<u32> = apps.copied().collect();
        let is_so = |part: &str| {
            part == MAKE_ROOM
                || self.is_device_wait(part)
                || apps.iter().any(|app| self.waits(*app, part, since))
        };
        let lie = text.split("; ").find(|part| !is_so(part))?;
        Some(lie.to_owned())
    }

    fn is_device_wait(&self, text: &str) -> bool {
        text == "the machine is about to be restarted, switched off or configured"
            && self.judge.may_be_still()
    }

    fn waits(&self, app: u32, text: &str, since: Time) -> bool {
        let is_of = |c: &&Container, name: &str| c.is_of(app, name) && c.existed(since);
        if let Some((key, error)) = text.split_once(" failed: ") {
            let is_unnoted = self.judge.losses.is_unnoted(key, error);
            return is_unnoted || self.judge.deeds.has_failed(key, error, since);
        }
        if text.starts_with("there is no room for an image: ") {
            return self.engine.had_no_room(since);
        }
        if let Some(service) = text.strip_suffix(" holds its update lock") {
            return self.locks.was_held(app, service, since);
        }
        if let Some(name) = text.strip_prefix("the engine is removing a container of ") {
            let mut all = self.all_containers().filter(|c| is_of(c, name));
            return all.any(|c| c.was(ContainerState::Removing, since));
        }
        if let Some(is_so) = self.is_contract(app, text) {
            return is_so;
        }
        let stays = ", which stays: its release is rejected";
        if let Some(rest) = text.strip_suffix(stays) {
            return self.may_be_rejected(app) && self.waits(app, rest, since);
        }
        if let Some(rest) = text.strip_prefix("the volume ") {
            let name = rest.split_once(" waits for a container of ");
            let name = name.and_then(|(_, rest)| rest.strip_suffix(" to be gone"));
            if let Some(name) = name {
                return self.all_containers().any(|c| is_of(&c, name));
            }
            let has_failed = self.counts.has(Met::FailedWrite) || self.counts.has(Met::FullDisk);
            return rest.ends_with(" was emptied: is the disk full?") && has_failed;
        }
        if let Some(rest) = text
            .strip_suffix(" was stopped on request, until it is started or given another target")
        {
            return self.judge.stops.was_stopped(app, rest, since);
        }
        if let Some(name) = text.strip_suffix(" waits for its successor to take over") {
            let mut all = self.all_containers().filter(|c| is_of(c, name));
            return all.any(|c| c.told.is_predecessor);
        }
        let old = " goes on in its old container until the new one runs";
        if let Some(name) = text.strip_suffix(old) {
            let mut all = self.all_containers().filter(|c| is_of(c, name));
            return all.any(|c| c.told.is_predecessor);
        }
        self.waits_for_others(app, text, since)
    }

    fn waits_for_others(&self, app: u32, text: &str, since: Time) -> bool {
        // Judged with the words for what is being done.
        if text.ends_with(" waits for its image") {
            return true;
        }
        if text.ends_with(" goes on until every image of its release is there") {
            let Some(Some(wanted)) = self.wanted(app) else {
                return true;
            };
            let services = wanted.services.values().filter(|s| !s.is_left_out());
            let mut images = services.map(|service| &service.image);
            return images.any(|image| !self.engine.had_tag_all_the_time(image, since));
        }
        let anew = " starts when the device was started anew, as its label asks";
        if let Some(name) = text.strip_suffix(anew) {
            let mut all = self.all_containers();
            return all.any(|c| c.is_of(app, name) && waits_for_restart(c, since));
        }
        let Some((name, rest)) = text.split_once(" waits for ") else {
            return false;
        };
        if let Some(other) = rest.strip_suffix(" to be started") {
            return !self.is_settled(app, other, since);
        }
        let is_there = |c: &&Container| c.told.app_id == app && c.existed(since);
        match rest {
            // Of what was missing something may be here meanwhile.
            "the service whose network it shares" | "its networks and volumes" => {
                let mut all = self.engine.containers.values();
                !all.any(|c| {
                    c.is_of(app, name) && c.born < since && !c.told.is_predecessor && c.is_live()
                })
            }
            _ => {
                let name = rest.strip_prefix("an old container of ");
                let name = name.and_then(|rest| rest.strip_suffix(" to be gone"));
                name.is_some_and(|name| {
                    self.all_containers()
                        .filter(is_there)
                        .any(|c| c.told.service_name == name)
                })
            }
        }
    }

    /// Whether a service has run all the time since as the target wants it, with nothing asked of it.
    fn is_settled(&self, app: u32, service: &str, since: Time) -> bool {
        let Some(Some(wanted)) = self.wanted(app) else {
            return false;
        };
        let Some(spec) = wanted.service(service) else {
            // One that is not to be there is not waited for.
            return true;
        };
        let all: Vec<&Container> = self
            .all_containers()
            .filter(|c| c.is_of(app, service) && c.existed(since))
            .collect();
        let [container] = all.as_slice() else {
            return false;
        };
        if let NetworkChoice::Of(other) = &spec.network
            && !self.is_settled(app, other, since)
        {
            return false;
        }
        let mut differences = Vec::new();
        self.compare(app, spec, container, &mut differences);
        // Its number is among its labels.
        let mut numbered = wanted.services.keys().zip(1..);
        let is_its =
            |(name, number): (&String, u32)| name == service && number == container.told.service_id;
        if !numbered.any(is_its) {
            return false;
        }
        let ran = container
            .history
            .last()
            .is_some_and(|(at, state)| *at < since && *state == ContainerState::Running);
        // It may have been built anew under its name: then the container goes on until the agent begins anew.
        let is_image = self.engine.tags.get(&spec.image) == Some(&container.told.config.image);
        let is_asked = self.judge.promises.iter().any(|p| p.may_replace(app));
        let is_let_go = self.judge.specs.iter().any(|spec| !spec.discard.is_empty());
        let networks = self.engine.networks.values().filter(|n| n.app_id == app);
        let has_changed = networks.count() != 3 || self.faults.twins > 0;
        ran && is_image && differences.is_empty() && !is_asked && !is_let_go && !has_changed
    }

    /// The image of a service, where the target that counts is known.
    pub(super) fn image_of(&self, app: u32, service: &str) -> Option<&String> {
        let app = self.wanted(app).flatten()?;
        app.services.get(service).map(|service| &service.image)
    }
}

/// Whether a container was to wait for the next start of the machine at some time since.
pub(super) fn waits_for_restart(container: &Container, since: Time) -> bool {
    let first = container.history.iter();
    let mut runs = first.filter(|(_, state)| *state == ContainerState::Running);
    container.requires_restart()
        && container.existed(since)
        && runs.next().is_none_or(|(at, _)| *at >= since)
}
