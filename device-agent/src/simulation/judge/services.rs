//! What is told of one service, or of one container.

use super::reports::is_blind;
use crate::model::{ContainerState, Step};
use crate::report::{Snapshot, rfc3339};
use crate::simulation::engine::Container;
use crate::simulation::state::{State, Time};
use agent_api::os::ServiceReport;
use agent_api::reference::ContainerStatus;

impl State {
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
        let waits = service.waiting.as_deref();
        if let Some(lie) = waits.and_then(|text| self.false_wait(app, text, since)) {
            return Some(format!("{place} waits because {lie:?}"));
        }
        let error = service.error.as_deref();
        if error.is_some_and(|error| !self.has_failed(service, error, since)) {
            return Some(format!("{place} has failed: {error:?}"));
        }
        let Some(id) = &service.container_id else {
            return self.lie_of_absence(service, since);
        };
        let all = &self.engine.containers;
        let Some(container) = all.get(id).or_else(|| self.engine.gone.get(id)) else {
            return Some(format!("{place} has the container {id}"));
        };
        if !container.existed(since) {
            return Some(format!("{place} has the container {id}, which is gone"));
        }
        let told = &container.told;
        if !container.is_of(app, name) || service.service_id != told.service_id {
            return Some(format!("{id} is a container of {place}"));
        }
        if service.created_at.as_deref() != Some(rfc3339(told.created).as_str()) {
            return Some(format!("{place} was made at {:?}", service.created_at));
        }
        if service.because != told.because {
            return Some(format!("{place} was made because {:?}", service.because));
        }
        let code = service.exit_code;
        if code.is_some_and(|code| !container.had_code(code, since)) {
            return Some(format!("{place} has ended with {code:?}"));
        }
        if code.is_none() && service.status == "exited" {
            return Some(format!("{place} has ended with nothing"));
        }
        lie_of_state(&service.status, container, since)
            .then(|| format!("{place} is {}", service.status))
    }

    /// A service that is told to have no container.
    fn lie_of_absence(&self, service: &ServiceReport, since: Time) -> Option<String> {
        let (app, name) = (service.app_id, service.name.as_str());
        let place = format!("{app}/{name}");
        if self.has_existed_since(app, name, since) {
            return Some(format!("{place} has no container"));
        }
        let because = service.because.as_deref();
        if because.is_some_and(|words| !self.judge.reasons.may_be(app, name, words)) {
            return Some(format!("{place} is to be made because {because:?}"));
        }
        if self.judge.told_for != self.judge.read_for {
            // The world was read for another target since then, and could not be read once more.
            return None;
        }
        let image = self.image_of(app, name)?;
        let was_here = self.engine.had_tag(image, since);
        let is_wrong = match service.status.as_str() {
            "Downloaded" => !was_here,
            "Idle" => self.engine.had_tag_all_the_time(image, since),
            _ => false,
        };
        is_wrong.then(|| format!("{place} is {}", service.status))
    }

    fn has_failed(&self, service: &ServiceReport, error: &str, since: Time) -> bool {
        let (app, name) = (service.app_id, &service.name);
        let has_failed = |key: &str| self.judge.deeds.has_failed(key, error, since);
        // The world may have been read for another target since.
        let image = if self.judge.told_for == self.judge.read_for {
            self.image_of(app, name)
        } else {
            self.image_told(app, name)
        };
        ["install", "start"]
            .iter()
            .any(|verb| has_failed(&format!("{verb} {app}/{name}")))
            || image.is_none_or(|image| has_failed(&format!("pull {image}")))
    }

    /// The image of a service in the target for which was told what was told last.
    fn image_told(&self, app: u32, service: &str) -> Option<&String> {
        let name = self.judge.told_for.as_ref()?;
        let spec = self.judge.specs.iter().find(|spec| spec.name == *name)?;
        let service = spec.apps.get(&app)?.services.get(service)?;
        Some(&service.image)
    }

    pub(super) fn lie_of_container(&self, told: &ContainerStatus) -> Option<String> {
        let id = &told.container_id;
        let all = &self.engine.containers;
        let Some(container) = all.get(id).or_else(|| self.engine.gone.get(id)) else {
            return Some(format!("there is the container {id}"));
        };
        let is_its = container.is_of(told.app_id, &told.service_name)
            && told.service_id == container.told.service_id
            && told.created_at == rfc3339(container.told.created);
        let since = self.judge.told?.since;
        if !is_its || !container.existed(since) {
            return Some(format!("{id} is {told:?}"));
        }
        lie_of_state(&told.status, container, since).then(|| format!("{id} is {}", told.status))
    }

    /// Words for what is being done, when all that was to be begun has been.
    pub(in crate::simulation) fn judge_words(&mut self, told: &Snapshot) {
        let Some(since) = self.judge.told.map(|reading| reading.since) else {
            return;
        };
        let services = told.report.services.iter();
        let services = services.map(|s| {
            let id = s.container_id.as_deref();
            (s.app_id, s.name.as_str(), id, s.status.as_str())
        });
        let containers = told.containers.iter().map(|c| {
            let id = Some(c.container_id.as_str());
            (c.app_id, c.service_name.as_str(), id, c.status.as_str())
        });
        let all: Vec<_> = services.chain(containers).collect();
        self.judge_fetching(told, &all, since);
        let lie = all.into_iter().find(|(app, name, id, word)| {
            let is_done = |step: &Step| match (*word, step) {
                (
                    "Installing",
                    Step::Install {
                        app_id, service, ..
                    },
                ) => app_id == app && service == name,
                ("Starting", Step::Start { id: other, .. })
                | ("Stopping", Step::Stop { id: other, .. } | Step::Kill { id: other, .. })
                | ("Handing over", Step::HandOver { id: other, .. }) => Some(other.as_str()) == *id,
                _ => false,
            };
            let is_of_doing = matches!(
                *word,
                "Installing" | "Starting" | "Stopping" | "Handing over"
            );
            let going = |id: &str| {
                let mut all = self.all_containers().filter(|c| c.told.id == id);
                all.any(|c| c.was(ContainerState::Removing, since))
            };
            let is_going = *word == "Stopping" && id.is_some_and(going);
            let is_begun = self.judge.deeds.is_full() || self.judge.deeds.was_doing(since, is_done);
            is_of_doing && !is_going && !is_begun
        });
        if let Some((app, name, id, word)) = lie {
            let violation = format!("it is not so that {app}/{name} ({id:?}) is {word}");
            self.violated(violation);
        }
    }
}

/// What is told of a service or a container: application, service, container and word.
type Told<'a> = (u32, &'a str, Option<&'a str>, &'a str);

/// What was told to be fetched.
#[derive(Debug)]
pub(in crate::simulation) struct Fetching {
    generation: u64,
    since: Time,
    images: Vec<String>,
}

impl State {
    /// A pull is begun when the loop has nothing else to do, so that it is seen by the next report at the latest.
    fn judge_fetching(&mut self, told: &Snapshot, all: &[Told<'_>], since: Time) {
        let generation = told.report.generation;
        let before = self.judge.fetching.take();
        if let Some(before) = before.filter(|before| before.generation == generation) {
            for image in before.images {
                let is_it =
                    |step: &Step| matches!(step, Step::Pull { image: its, .. } if *its == image);
                if !self.judge.deeds.was_doing(before.since, is_it) {
                    self.violated(format!("it is not so that {image} is Downloading"));
                }
            }
        }
        if is_blind(told) {
            return;
        }
        let words = all.iter().filter(|(.., word)| *word == "Downloading");
        let words = words.map(|(app, name, ..)| (*app, *name));
        let waits = told.report.services.iter().filter(|service| {
            let text = service.waiting.as_deref().unwrap_or_default();
            let wanted = format!("{} waits for its image", service.name);
            text.split("; ").any(|part| part == wanted)
        });
        let services = words.chain(waits.map(|s| (s.app_id, s.name.as_str())));
        let images = services.filter_map(|(app, name)| self.image_of(app, name).cloned());
        self.judge.fetching = Some(Fetching {
            generation,
            since,
            images: images.collect(),
        });
    }
}

/// Whether a word for a state is wrong. One for what is being done is judged when it has been begun.
fn lie_of_state(word: &str, container: &Container, since: Time) -> bool {
    let state = match word {
        "Running" => ContainerState::Running,
        "Installed" => ContainerState::Created,
        "exited" => ContainerState::Exited,
        "restarting" => ContainerState::Restarting,
        "paused" => ContainerState::Paused,
        "Dead" => ContainerState::Dead,
        "Downloading" | "Installing" | "Starting" | "Stopping" | "Handing over" => return false,
        _ => return true,
    };
    !container.was(state, since)
}
