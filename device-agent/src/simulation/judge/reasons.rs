//! Why containers go and come, as the agent says it, is so.

use std::collections::BTreeMap;

use super::View;
use crate::model::{ContainerState, Leftover, Step, Wish};
use crate::simulation::engine::Container;
use crate::simulation::spec::{AppSpec, LEVEL};
use crate::simulation::state::State;

/// Words for which a container goes, by its service, until the next one comes.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Reasons(BTreeMap<(u32, String), (String, bool)>);

impl Reasons {
    /// Whether that may be said of the next one. The words of one that could not be taken away, and that somebody else took
    /// then, may be said or not.
    fn fits(&self, app: u32, service: &str, words: Option<&str>) -> bool {
        let known = self.0.get(&(app, service.to_owned()));
        match (known, words) {
            (None, None) => true,
            (Some((_, is_sure)), None) => !is_sure,
            (known, Some(words)) => known.is_some_and(|(known, _)| known == words),
        }
    }

    /// The same where it need not be said.
    pub(super) fn may_be(&self, app: u32, service: &str, words: &str) -> bool {
        self.fits(app, service, Some(words))
    }

    /// A container went for none of them.
    fn forget(&mut self, app: u32, service: &str) {
        self.0.remove(&(app, service.to_owned()));
    }
}

/// What is said of a container that goes.
#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    app: u32,
    service: &'a str,
    id: &'a str,
    words: &'a str,
}

impl State {
    /// The agent says why it ends a container, or why it makes one.
    pub(super) fn judge_reason(&mut self, step: &Step) {
        match step {
            Step::Kill {
                app_id,
                service,
                id,
                because,
                recreates,
                ..
            } => {
                self.judge_words_of_end(Said {
                    app: *app_id,
                    service,
                    id,
                    words: because,
                });
                let old = self.engine.containers.get(id);
                let is_predecessor = old.is_some_and(|old| old.told.is_predecessor);
                if *recreates {
                    self.reason(*app_id, service, because);
                } else if !is_predecessor && self.is_alone(*app_id, service, id) {
                    self.judge.reasons.forget(*app_id, service);
                } else if !is_predecessor {
                    self.goes_for_none(*app_id, service);
                }
            }
            Step::HandOver {
                app_id,
                service,
                id,
                because,
                ..
            } => {
                self.judge_words_of_end(Said {
                    app: *app_id,
                    service,
                    id,
                    words: because,
                });
                self.reason(*app_id, service, because);
            }
            // That one stays. It may go all the same, by a step of before with which the engine is late.
            Step::Start {
                app_id, service, ..
            } => self.goes_for_none(*app_id, service),
            // It goes with its session.
            Step::RemoveLeftover(Leftover::Container(id)) => {
                let of = self.engine.containers.get(id);
                let of = of.map(|c| (c.told.app_id, c.told.service_name.clone()));
                if let Some((app, service)) = of {
                    self.goes_for_none(app, &service);
                }
            }
            Step::Install {
                app_id,
                service,
                because,
                ..
            } => {
                let words = Some(because.as_str()).filter(|words| *words != "new");
                if !self.judge.reasons.fits(*app_id, service, words) {
                    let known = self.judge.reasons.0.get(&(*app_id, service.clone()));
                    let known = known.map(|(words, _)| words.clone());
                    self.violated(format!(
                        "{app_id}/{service} is made because of {because:?}, and the one before went because of {known:?}"
                    ));
                }
            }
            _ => {}
        }
    }

    /// The world was read for a target. A service that it does not want may come anew later, or may be forgotten before
    /// everything is applied.
    pub(in crate::simulation) fn reasons_are_read_for(&mut self) {
        let known = self.judge.reasons.0.keys();
        let unwanted = known.filter(|(app, service)| {
            let wanted = self.wanted(*app).flatten();
            wanted.is_none_or(|app| app.service(service).is_none())
        });
        let unwanted: Vec<(u32, String)> = unwanted.cloned().collect();
        for (app, service) in unwanted {
            self.goes_for_none(app, &service);
        }
    }

    fn is_alone(&self, app: u32, service: &str, id: &str) -> bool {
        let mut others = self.engine.containers.values();
        !others.any(|c| c.is_of(app, service) && c.told.id != id && !c.told.is_predecessor)
    }

    /// All is applied: what comes later of a service that is not wanted now is new.
    pub(super) fn reasons_are_done(&mut self, view: &View) {
        let wanted = |app: u32, service: &str| {
            view.apps
                .get(&app)
                .is_some_and(|app| app.service(service).is_some())
        };
        let reasons = &mut self.judge.reasons.0;
        reasons.retain(|(app, service), _| wanted(*app, service));
    }

    /// A container went for no reason of the agent's.
    pub(in crate::simulation) fn goes_for_none(&mut self, app: u32, service: &str) {
        if let Some((_, is_sure)) = self.judge.reasons.0.get_mut(&(app, service.to_owned())) {
            *is_sure = false;
        }
    }

    fn reason(&mut self, app: u32, service: &str, because: &str) {
        let key = (app, service.to_owned());
        self.judge.reasons.0.insert(key, (because.to_owned(), true));
    }

    fn judge_words_of_end(&mut self, said: Said<'_>) {
        if !self.is_reason(said).unwrap_or(true) {
            let Said {
                app,
                service,
                words,
                ..
            } = said;
            self.violated(format!(
                "a container of {app}/{service} goes, and it is not so that {words:?}"
            ));
        }
    }

    /// `None`: that cannot be said.
    fn is_reason(&self, said: Said<'_>) -> Option<bool> {
        let Said {
            app,
            service,
            id,
            words,
        } = said;
        let reading = self.judge.reading?;
        let stands = reading.changes == self.changes;
        let wanted = self.wanted(app)?;
        let spec = wanted.and_then(|app| app.service(service));
        let asked = |what: fn(&Wish) -> bool| Some(self.was_asked(app, service, what));
        match words {
            "a restart was asked for" => return asked(|wish| matches!(wish, Wish::Restart(_))),
            "a purge was asked for" => return asked(|wish| matches!(wish, Wish::Purge(_))),
            "its application has nothing to run" => return Some(wanted.is_none()),
            "its service is not in the target state" => return Some(spec.is_none()),
            "there is a newer container of this service" => {
                let mut others = self.all_containers().filter(|c| c.told.id != *id);
                return Some(others.any(|c| c.is_of(app, service) && c.existed(reading.since)));
            }
            "its service is to be stopped" => {
                let is_stopped = self.judge.stops.is_stopped(app, service) != Some(false);
                return Some(is_stopped || spec.is_none_or(|spec| !spec.running));
            }
            "its successor has taken over" => {
                let hands_over = spec.is_some_and(|s| s.strategy == Some("hand-over"));
                return Some(!hands_over || self.locks.is_marked(app, service));
            }
            "neither it nor its successor runs" => {
                let has_ended = |c: &Container| c.was(ContainerState::Exited, reading.since);
                let mut all = self.all_containers();
                let successor = all.any(|c| {
                    c.is_of(app, service) && !c.told.is_predecessor && c.run > 0 && has_ended(c)
                });
                let old = self.engine.containers.get(id)?;
                let is_idle = has_ended(old) || old.was(ContainerState::Created, reading.since);
                return Some(successor && is_idle);
            }
            "its successor has ended" => {
                let mut all = self.all_containers();
                return Some(all.any(|c| {
                    c.is_of(app, service)
                        && c.was(ContainerState::Exited, reading.since)
                        && c.had_code(0, reading.since)
                }));
            }
            _ => {}
        }
        // Judged by the rules of hand-overs.
        if words.starts_with("its successor has run for ") {
            return None;
        }
        if words.starts_with("volume ") {
            return Some(self.is_volume_reason(app, words));
        }
        let network = words.strip_prefix("network ").and_then(|rest| {
            let anew = rest.strip_suffix(" is made anew");
            anew.or_else(|| rest.strip_suffix(" changed"))
        });
        if let Some(network) = network {
            // The service itself may not be to stand in it.
            let differs = spec.zip(self.engine.containers.get(id)).map(|(spec, old)| {
                let mut differences = Vec::new();
                self.compare(app, spec, old, &mut differences);
                differences.iter().any(|what| what.starts_with("network"))
            });
            return Some(differs.unwrap_or(true) || self.is_network_reason(app, network, stands)?);
        }
        let Some(differences) = words.strip_suffix(" changed") else {
            return Some(false);
        };
        let container = self.engine.containers.get(id)?;
        let spec = spec?;
        let config = &container.told.config;
        let named: Vec<&str> = differences.split(", ").collect();
        let level = config.environment.get(LEVEL) != Some(&spec.level.to_string());
        let image = !config.image.starts_with(&format!("sha256:{}-", spec.image))
            || self.engine.tags.get(&spec.image) != Some(&config.image);
        // Of what an image makes of it nothing is known before the image is here.
        let is_level_right = named.contains(&"env.LEVEL") == level || (named == ["image"] && level);
        let is_image_right = !stands || image || !named.contains(&"image");
        Some(is_level_right && is_image_right)
    }

    /// What the target with which the world was read wants of an application: `None` where that is not known.
    #[expect(
        clippy::option_option,
        reason = "not known, or known that there is none"
    )]
    pub(super) fn wanted(&self, app: u32) -> Option<Option<&AppSpec>> {
        let name = self.judge.read_for.as_ref()?;
        let spec = self.judge.specs.iter().find(|spec| spec.name == *name)?;
        let found = spec.apps.get(&app);
        // The fleet's may be part of it.
        if found.is_none() && !self.judge.sent[1].is_empty() {
            return None;
        }
        // The fleet's target counts in a session without one, but for its own applications.
        let is_fleets = self.judge.sent[1]
            .iter()
            .any(|sent| self.judge.specs[sent.number].name == *name);
        if is_fleets && !self.judge.sessions.is_empty() {
            return None;
        }
        Some(found.filter(|app| app.has_commit))
    }

    fn is_volume_reason(&self, app: u32, words: &str) -> bool {
        let is_purged = |volume: &str| {
            let mut promises = self.judge.promises.iter();
            promises.any(|promise| promise.may_purge(app, volume))
        };
        let of = format!("{app}_");
        let mut lately = self.judge.sent.iter().flatten();
        let discards = lately.any(|sent| {
            let discard = self.judge.specs[sent.number].discard.iter();
            discard.map(String::as_str).any(|name| words.contains(name))
        });
        let cleaned = self
            .judge
            .promises
            .iter()
            .any(|promise| matches!(promise.wish(), Wish::CleanVolumes(_)));
        let volume = words.strip_prefix("volume ").unwrap_or(words);
        if let Some(volume) = volume.strip_suffix(" is purged") {
            is_purged(volume)
        } else if words.ends_with(" is not in the target state") {
            cleaned
        } else if words.ends_with(" changed") {
            discards
        } else {
            let volume = volume.strip_suffix(" is to go");
            let volume = volume.and_then(|volume| volume.strip_prefix(&of));
            volume.is_some_and(|volume| is_purged(volume) || discards || cleaned)
        }
    }

    fn is_network_reason(&self, app: u32, network: &str, stands: bool) -> Option<bool> {
        let wanted = self.wanted(app)??;
        if !stands {
            return None;
        }
        let name = format!("{app}_{network}");
        let all = self.engine.networks.values().filter(|n| n.name == name);
        let all: Vec<bool> = all.map(|network| network.spec.internal).collect();
        let internal = network == "back" && wanted.internal;
        Some(all != [internal])
    }
}
