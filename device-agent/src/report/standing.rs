//! How far what somebody waits for has come: who asks something of one service is not told of the trouble of another. Pure.
//!
//! In: what is being done, and what holds up the rest. Out: what is [`Left`], and from it a [`Standing`] for a [`Subject`].
//! What is about the device as a whole is about everything on it.

use std::collections::BTreeSet;

use super::{ServiceKey, Sources};
use crate::model::{Asked, Block, ContainerState, Ends, ObservedContainer, Scope, Subject};

/// How a subject stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As the target and everything that was asked for want it.
    Settled,
    /// On its way there.
    Busy,
    /// Held up until somebody does something.
    Held {
        /// For people.
        because: String,
        /// Whether nothing but update locks are in the way.
        is_locked: bool,
    },
}

/// What is left to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether nothing can be done at once. Only then is it known what holds up the rest.
    is_idle: bool,
    /// Services that are not yet as they are to be, whatever is in their way.
    pending: BTreeSet<ServiceKey>,
    /// Applications whose images are fetched.
    pulls: BTreeSet<u32>,
    /// Applications with volumes that are to go.
    volumes: BTreeSet<u32>,
    blocks: Vec<Block>,
}

impl Left {
    pub(super) fn of(sources: &Sources<'_>) -> Self {
        let steps = sources.doing.steps();
        let pulls = steps.filter(|step| step.is_background());
        let discarded = &sources.observed.asked.discard;
        let volumes = sources.observed.volumes.iter();
        let volumes = volumes.filter(|volume| discarded.contains_key(&volume.name));
        Self {
            is_idle: sources.is_idle,
            pending: pending(sources),
            pulls: pulls
                .filter_map(|step| step.about().map(|(app_id, _)| app_id))
                .collect(),
            volumes: volumes.map(|volume| volume.app_id).collect(),
            blocks: sources.blocks.to_vec(),
        }
    }

    /// Whatever was left, this holds it up.
    pub(crate) fn held_up(&mut self, because: String) {
        self.is_idle = true;
        self.pulls.clear();
        self.blocks = vec![Block {
            app_id: None,
            service: None,
            because,
            ends: Ends::BySomebody,
        }];
    }

    /// How a subject stands.
    pub(crate) fn standing(&self, subject: &Subject) -> Standing {
        if let Subject::Volumes(scope) = subject
            && !self.volumes.iter().any(|app_id| scope.holds(*app_id))
        {
            return Standing::Settled;
        }
        if !self.is_idle {
            return Standing::Busy;
        }
        let (scope, is_pending) = match subject {
            Subject::App(app_id) => (Scope::App(*app_id), true),
            Subject::Service(app_id, name) => {
                let service = (*app_id, name.clone());
                (Scope::App(*app_id), self.pending.contains(&service))
            }
            Subject::Volumes(scope) => (*scope, true),
        };
        // What is as it was asked for is held up by nothing that is about others.
        let is_done = matches!(subject, Subject::Service(..)) && !is_pending;
        let is_own =
            |block: &&Block| is_about(block, subject) && (!is_done || names(block, subject));
        let own: Vec<&Block> = self.blocks.iter().filter(is_own).collect();
        if own.is_empty() && !is_pending {
            return Standing::Settled;
        }
        let is_part = !matches!(subject, Subject::App(_));
        if is_part && own.iter().any(|block| block.is_fault()) {
            return judged(&own);
        }
        // What is in its way may be about another service: an image or a start that it waits for.
        if self.pulls.iter().any(|app_id| scope.holds(*app_id)) {
            return Standing::Busy;
        }
        let blocks = self.blocks.iter();
        let blocks = blocks.filter(|block| block.app_id.is_none_or(|id| scope.holds(id)));
        let judged = judged(&blocks.collect::<Vec<_>>());
        match (subject, judged) {
            // They are still there, whether anybody says why or not.
            (Subject::Volumes(_), Standing::Settled) => Standing::Busy,
            (_, judged) => judged,
        }
    }

    /// What a subject, or the device, waits for; nothing of other applications.
    pub(crate) fn waiting(&self, subject: &Subject) -> Option<String> {
        let scope = match subject {
            Subject::App(app_id) | Subject::Service(app_id, _) => Scope::App(*app_id),
            Subject::Volumes(scope) => *scope,
        };
        let blocks = self.blocks.iter();
        super::waiting(blocks.filter(|block| block.app_id.is_none_or(|id| scope.holds(id))))
    }
}

fn judged(blocks: &[&Block]) -> Standing {
    let faults: Vec<&Block> = blocks.iter().copied().filter(|b| b.is_fault()).collect();
    match (blocks.is_empty(), faults.is_empty()) {
        (true, _) => Standing::Settled,
        (false, true) => Standing::Busy,
        (false, false) => Standing::Held {
            because: super::waiting(faults.iter().copied()).unwrap_or_default(),
            is_locked: faults.iter().all(|block| block.ends == Ends::WithLock),
        },
    }
}

/// Whether a block is in a subject's way. A lock is in the way of its whole application.
fn is_about(block: &Block, subject: &Subject) -> bool {
    let is_shared = block.service.is_none() || block.ends == Ends::WithLock;
    block.app_id.is_none_or(|id| match subject {
        Subject::App(app_id) => id == *app_id,
        Subject::Service(app_id, name) => {
            id == *app_id && (is_shared || block.service.as_ref() == Some(name))
        }
        Subject::Volumes(scope) => scope.holds(id) && is_shared,
    })
}

/// Whether a block says of this very service what it waits for.
fn names(block: &Block, subject: &Subject) -> bool {
    matches!(subject, Subject::Service(app_id, name)
        if block.app_id == Some(*app_id) && block.service.as_ref() == Some(name))
}

/// Services of the target that have no container, or one that something was asked of, or that is not in the state that it is
/// to be in.
fn pending(sources: &Sources<'_>) -> BTreeSet<ServiceKey> {
    let asked = &sources.observed.asked;
    let mut pending = BTreeSet::new();
    for app in sources.target.into_iter().flat_map(|t| t.apps.values()) {
        for service in app.services.values() {
            let is_to_run = service.running && !asked.is_stopped(app.id, &service.name);
            let containers = sources.observed.containers.iter();
            let containers: Vec<&ObservedContainer> = containers
                .filter(|c| c.app_id == app.id && c.service_name == service.name)
                .collect();
            let has_own = containers.iter().any(|c| !c.is_predecessor);
            let mut containers = containers.into_iter();
            if !has_own || !containers.all(|c| is_done(c, asked, is_to_run)) {
                pending.insert((app.id, service.name.clone()));
            }
        }
    }
    pending
}

fn is_done(container: &ObservedContainer, asked: &Asked, is_to_run: bool) -> bool {
    let id = &container.id;
    let is_asked = asked.replace.contains_key(id) || asked.start.contains(id);
    let is_so = match container.state {
        ContainerState::Created => !is_to_run,
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused => is_to_run,
        ContainerState::Exited | ContainerState::Removing | ContainerState::Dead => true,
    };
    is_so && !is_asked
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{Batch, Observed, ObservedVolume, Step, VolumeSpec};
    use crate::report::tests::{container, observed, target};

    fn block(app_id: Option<u32>, service: &str, ends: Ends) -> Block {
        Block {
            app_id,
            service: (!service.is_empty()).then(|| service.to_owned()),
            because: format!("{service} {ends:?}"),
            ends,
        }
    }

    fn held(because: &str, is_locked: bool) -> Standing {
        Standing::Held {
            because: because.to_owned(),
            is_locked,
        }
    }

    fn web() -> Subject {
        Subject::Service(1, "web".to_owned())
    }

    /// Nothing is done at once, and these are in the way.
    fn left<const N: usize>(blocks: [Block; N]) -> Left {
        Left {
            is_idle: true,
            blocks: blocks.into(),
            ..Left::default()
        }
    }

    #[test]
    fn an_application_stands_by_itself() {
        let app = |left: &Left| {
            (
                left.standing(&Subject::App(1)),
                left.standing(&Subject::App(2)),
            )
        };
        let (settled, busy) = (Standing::Settled, Standing::Busy);
        assert_eq!(app(&left([])), (settled.clone(), settled.clone()));
        // As long as something is done at once it is not known what is left.
        assert_eq!(app(&Left::default()), (busy.clone(), busy.clone()));
        let fetched = Left {
            pulls: [2].into(),
            ..left([block(Some(2), "web", Ends::BySomebody)])
        };
        assert_eq!(app(&fetched), (settled.clone(), busy.clone()));
        let lock = block(Some(1), "web", Ends::WithLock);
        let fault = block(Some(1), "", Ends::BySomebody);
        let time = block(Some(2), "web", Ends::ByItself);
        let everybody = block(None, "", Ends::BySomebody);
        let found = app(&left([lock.clone(), time.clone()]));
        assert_eq!(found, (held("web WithLock", true), busy));
        let found = app(&left([lock, fault]));
        assert_eq!(found, (held("web WithLock;  BySomebody", false), settled));
        let found = app(&left([time, everybody]));
        let everywhere = held(" BySomebody", false);
        assert_eq!(found, (everywhere.clone(), everywhere));
    }

    #[test]
    fn a_service_stands_by_itself_and_a_lock_is_in_the_way_of_its_application() {
        let other = block(Some(1), "worker", Ends::BySomebody);
        let standing = |left: Left| left.standing(&web());
        assert_eq!(standing(left([other.clone()])), Standing::Settled);
        let fetched = Left {
            pulls: [1].into(),
            ..left([])
        };
        assert_eq!(standing(fetched), Standing::Settled);
        let pending = |left: Left| Left {
            pending: [(1, "web".to_owned())].into(),
            ..left
        };
        let lock = block(Some(1), "worker", Ends::WithLock);
        let locked = left([other.clone(), lock]);
        assert_eq!(standing(locked.clone()), Standing::Settled);
        assert_eq!(standing(pending(locked)), held("worker WithLock", true));
        let everybody = left([block(None, "", Ends::BySomebody)]);
        assert_eq!(standing(everybody.clone()), Standing::Settled);
        assert_eq!(standing(pending(everybody)), held(" BySomebody", false));
        let own = block(Some(1), "web", Ends::BySomebody);
        let found = standing(left([other.clone(), own]));
        assert_eq!(found, held("web BySomebody", false));
        // It waits for the other one, so the other one's trouble is its own.
        let waits = block(Some(1), "web", Ends::WithStart);
        assert_eq!(standing(left([waits.clone()])), Standing::Busy);
        let found = standing(left([waits, other.clone()]));
        assert_eq!(found, held("worker BySomebody", false));
        let found = standing(pending(left([other])));
        assert_eq!(found, held("worker BySomebody", false));
    }

    fn world(change: impl FnOnce(&mut Observed)) -> Left {
        let mut world = observed(vec![container("web", "a", 1)]);
        change(&mut world);
        Left::of(&Sources {
            generation: 3,
            target: Some(&target(&["web"])),
            observed: &world,
            failures: &world.failures,
            ports: &BTreeMap::new(),
            doing: &Batch(vec![vec![Step::Pull {
                app_id: 2,
                service: "web".to_owned(),
                image: "image".to_owned(),
            }]]),
            is_idle: true,
            reasons: &BTreeMap::new(),
            pulls: &BTreeMap::new(),
            releases: &BTreeMap::new(),
            warnings: &[],
            faults: &[],
            blocks: &[],
        })
    }

    #[test]
    fn what_was_asked_of_a_service_is_pending_until_it_is_so() {
        let is_pending = |change: fn(&mut Observed)| {
            let left = world(change);
            assert_eq!(left.pulls, [2].into());
            !left.pending.is_empty()
        };
        assert!(!is_pending(|_| {}));
        assert!(is_pending(|world| world.containers.clear()));
        assert!(is_pending(|world| world.containers[0].is_predecessor = true));
        assert!(is_pending(
            |world| world.containers[0].state = ContainerState::Created
        ));
        assert!(is_pending(|world| {
            world.asked.replace.insert("a".to_owned(), String::new());
        }));
        assert!(is_pending(|world| {
            world.containers[0].state = ContainerState::Exited;
            world.asked.start.insert("a".to_owned());
        }));
        assert!(is_pending(|world| {
            world.asked.stopped.insert(Asked::service(1, "web"));
        }));
        assert!(!is_pending(|world| {
            world.containers[0].state = ContainerState::Exited;
            world.asked.stopped.insert(Asked::service(1, "web"));
        }));
    }

    #[test]
    fn volumes_are_waited_for_until_they_are_gone_and_for_nothing_else() {
        let gone = Left::default();
        let all = Subject::Volumes(Scope::Global);
        assert_eq!(gone.standing(&all), Standing::Settled);
        let mut left = world(|world| {
            world.volumes.push(ObservedVolume {
                name: "1_data".to_owned(),
                app_id: 1,
                logical_name: "data".to_owned(),
                spec: VolumeSpec::default(),
            });
            let because = "is purged".to_owned();
            world.asked.discard.insert("1_data".to_owned(), because);
        });
        left.is_idle = false;
        assert_eq!(left.standing(&all), Standing::Busy);
        let other = Subject::Volumes(Scope::App(2));
        assert_eq!(left.standing(&other), Standing::Settled);
        left.is_idle = true;
        assert_eq!(left.standing(&all), Standing::Busy);
        left.blocks = vec![block(Some(2), "", Ends::BySomebody)];
        let mine = Subject::Volumes(Scope::App(1));
        assert_eq!(left.standing(&mine), Standing::Busy);
        left.blocks = vec![block(Some(1), "", Ends::BySomebody)];
        assert_eq!(left.waiting(&all).as_deref(), Some(" BySomebody"));
        assert_eq!(left.waiting(&other), None);
        assert_eq!(left.standing(&all), held(" BySomebody", false));
        left.held_up("the engine is away".to_owned());
        assert_eq!(left.standing(&all), held("the engine is away", false));
        assert_eq!(left.standing(&other), Standing::Settled);
        left.pending.insert((1, "web".to_owned()));
        assert_eq!(left.standing(&web()), held("the engine is away", false));
    }
}
