//! Reading our agent's reports: is the device where it should be, and what is new? Pure.

use std::time::Duration;

use agent_api::os::{ApplyState, ENGINE_AWAY, Report};

use super::{
    Event, ServiceFailure, Step,
    changes::{ServiceState, of_report},
};

/// How long a device may work without anything changing.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// How long a device that reports a failure may still get over it by itself: a port that is about to become free, …
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// How long its engine may be away: on a small board a restart takes a minute and more.
pub(super) const ENGINE_GRACE: Duration = Duration::from_mins(2);

/// Whether a device says that its engine is away. What went wrong with a service is no verdict then: it may be that the engine
/// went away in the middle.
pub(super) fn is_engine_away(faults: &[String]) -> bool {
    faults.iter().any(|fault| fault.starts_with(ENGINE_AWAY))
}

/// What the latest report means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is something left to do.
    Working,
    /// Something went wrong; the agent tries again.
    Failing,
    /// The agent has lost its engine, which may be about to come back.
    EngineAway,
    /// Everything is done.
    Settled,
    /// Somebody else gave the device another target.
    Overtaken,
}

/// The reports about one target.
#[derive(Debug)]
pub(super) struct Settling {
    generation: u64,
    states: Vec<ServiceState>,
    waiting: Option<String>,
    faults: Vec<String>,
    failures: Vec<ServiceFailure>,
}

impl Settling {
    pub(super) fn new(generation: u64, before: Vec<ServiceState>) -> Self {
        Self {
            generation,
            states: before,
            waiting: None,
            faults: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Takes a report: what it means, and what is new in it.
    pub(super) fn note(&mut self, report: Report) -> (Verdict, Vec<Event>) {
        if report.generation < self.generation {
            return (Verdict::Working, Vec::new());
        }
        if report.generation > self.generation {
            return (Verdict::Overtaken, Vec::new());
        }
        let mut events = Vec::new();
        let states = of_report(&report);
        for state in &states {
            let known = self.states.iter().find(|known| known.name == state.name);
            if known.is_none_or(|known| {
                known.status != state.status || known.container != state.container
            }) {
                events.push(Event::Service {
                    service: state.name.clone(),
                    step: Step::Status(state.status.clone()),
                });
            }
        }
        // While something fails, the reason is that failure, which is told if it stays.
        if let Some(reason) = &report.waiting
            && report.state != ApplyState::Failing
            && self.waiting.as_ref() != Some(reason)
        {
            events.push(Event::Waiting(reason.clone()));
        }
        let errors = states.iter().filter_map(|state| {
            Some(ServiceFailure {
                service: Some(state.name.clone()),
                reason: state.error.clone()?,
                lines: Vec::new(),
            })
        });
        let errors: Vec<ServiceFailure> = errors.collect();
        // While it tries again, the agent may forget for a moment what went wrong.
        if !errors.is_empty() || report.state != ApplyState::Applying {
            self.faults.clone_from(&report.faults);
        }
        // What holds it up comes first: a lock, a requirement that is not met, a full disk.
        if report.state == ApplyState::Failing
            && errors.is_empty()
            && let Some(reason) = &report.waiting
            && !self.faults.contains(reason)
        {
            self.faults.insert(0, reason.clone());
        }
        if !errors.is_empty() {
            self.failures = errors;
        }
        self.states = states;
        self.waiting = report.waiting;
        let verdict = match report.state {
            ApplyState::Applied => Verdict::Settled,
            ApplyState::Failing if is_engine_away(&self.faults) => Verdict::EngineAway,
            ApplyState::Failing => Verdict::Failing,
            ApplyState::Applying | ApplyState::Unknown => Verdict::Working,
        };
        (verdict, events)
    }

    pub(super) fn waiting(&self) -> Option<&str> {
        self.waiting.as_deref()
    }

    pub(super) fn faults(&self) -> &[String] {
        &self.faults
    }

    pub(super) fn failures(&self) -> Vec<ServiceFailure> {
        self.failures.clone()
    }

    pub(super) fn into_states(self) -> Vec<ServiceState> {
        self.states
    }
}

#[cfg(test)]
mod tests {
    use agent_api::os::ServiceReport;

    use super::*;

    fn report(
        generation: u64,
        state: ApplyState,
        services: &[(&str, &str, Option<&str>)],
    ) -> Report {
        Report {
            generation,
            state,
            asked: 0,
            waiting: None,
            services: services
                .iter()
                .map(|(name, status, error)| ServiceReport {
                    app_id: 1,
                    name: (*name).to_owned(),
                    service_id: 1,
                    image_id: 1,
                    status: (*status).to_owned(),
                    container_id: None,
                    created_at: None,
                    exit_code: None,
                    ports: Vec::new(),
                    because: None,
                    error: error.map(str::to_owned),
                    waiting: None,
                    locked: false,
                    state: ApplyState::Unknown,
                })
                .collect(),
            images: Vec::new(),
            faults: Vec::new(),
        }
    }

    #[test]
    fn older_reports_mean_nothing_and_newer_ones_are_others() {
        let mut settling = Settling::new(7, Vec::new());
        let (verdict, events) =
            settling.note(report(6, ApplyState::Applied, &[("web", "Running", None)]));
        assert_eq!((verdict, events), (Verdict::Working, Vec::new()));
        assert_eq!(
            settling.note(report(7, ApplyState::Applied, &[])).0,
            Verdict::Settled
        );
        assert_eq!(
            settling.note(report(8, ApplyState::Applied, &[])).0,
            Verdict::Overtaken
        );
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut settling = Settling::new(1, Vec::new());
        let installing = report(1, ApplyState::Applying, &[("web", "Installing", None)]);
        assert_eq!(settling.note(installing.clone()).1.len(), 1);
        assert_eq!(settling.note(installing).1, []);
        let mut waiting = report(1, ApplyState::Applying, &[("web", "Installing", None)]);
        waiting.waiting = Some("web holds a lock".to_owned());
        assert_eq!(
            settling.note(waiting.clone()).1,
            [Event::Waiting("web holds a lock".to_owned())]
        );
        assert_eq!(settling.note(waiting).1, []);
    }

    #[test]
    fn what_the_device_left_out_is_known_at_the_end() {
        let mut settling = Settling::new(1, Vec::new());
        let mut applied = report(1, ApplyState::Applied, &[("web", "Running", None)]);
        applied.faults = vec!["privileged has no effect".to_owned()];
        assert_eq!(settling.note(applied).0, Verdict::Settled);
        assert_eq!(settling.faults(), ["privileged has no effect"]);
    }

    #[test]
    fn a_failure_is_remembered_while_it_is_tried_again() {
        let mut settling = Settling::new(1, Vec::new());
        let failing = report(
            1,
            ApplyState::Failing,
            &[("web", "Dead", Some("no such image"))],
        );
        assert_eq!(settling.note(failing).0, Verdict::Failing);
        settling.note(report(
            1,
            ApplyState::Failing,
            &[("web", "Installing", None)],
        ));
        assert_eq!(settling.failures()[0].reason, "no such image");
    }

    #[test]
    fn an_engine_that_is_away_is_no_failure_of_a_service() {
        let mut settling = Settling::new(1, Vec::new());
        let mut away = report(1, ApplyState::Failing, &[("web", "Running", None)]);
        away.faults = vec![format!("{ENGINE_AWAY}: refused")];
        assert_eq!(settling.note(away.clone()).0, Verdict::EngineAway);
        let cut = "the engine cannot be used: connection closed";
        let failing = report(1, ApplyState::Failing, &[("web", "Running", Some(cut))]);
        assert_eq!(settling.note(failing).0, Verdict::Failing);
        assert_eq!(settling.note(away).0, Verdict::EngineAway);
        let mut other = report(1, ApplyState::Failing, &[]);
        other.faults = vec!["cannot create a network".to_owned()];
        assert_eq!(settling.note(other).0, Verdict::Failing);
    }
}
