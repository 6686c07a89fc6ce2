//! What becomes of a new system: kept, given up, or looked at again.
//!
//! In: what the boot loader was told, which system runs, how it did so far. Out: a [`Verdict`]. Pure.

use std::time::Duration;

use super::boot_env::{BootEnv, Slot};

/// How long a new system has to work without a break; the reference's time before its first look.
pub(super) const PROOF: Duration = Duration::from_mins(1);
/// How long it may take to get there; the reference's fifteen looks.
pub(super) const PATIENCE: Duration = Duration::from_mins(15);

/// How a system does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// What does not work, for people; empty where all does.
    pub(super) faults: Vec<String>,
}

/// How it did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Trial {
    /// Since the first look.
    pub(super) age: Duration,
    /// Since when it works without a break; `None` where it does not.
    pub(super) good_since: Option<Duration>,
}

impl Trial {
    /// After another look at this age.
    pub(super) fn after(self, look: &Look, age: Duration) -> Self {
        let is_good = look.faults.is_empty();
        Self {
            age,
            good_since: is_good.then(|| self.good_since.unwrap_or(age)),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody is on trial: signs of one that has ended are taken away.
    Ended,
    /// The boot loader has given the new one up already, and this is the one before.
    FellBack(BootEnv),
    /// It has shown that it works.
    Keep(BootEnv),
    /// It has not: the other one is started.
    GiveUp(BootEnv),
    /// Nothing is known yet.
    LookAgain,
}

/// Decides.
pub(super) fn decide(env: BootEnv, running: Slot, trial: Trial) -> Verdict {
    let settled = |root| BootEnv {
        root,
        is_on_trial: false,
    };
    if !env.is_on_trial {
        return Verdict::Ended;
    }
    if env.root != running {
        return Verdict::FellBack(settled(running));
    }
    match trial.good_since {
        Some(since) if trial.age.saturating_sub(since) >= PROOF => Verdict::Keep(settled(running)),
        // One that works just now gets its minute.
        None if trial.age >= PATIENCE => Verdict::GiveUp(settled(running.other())),
        Some(_) | None => Verdict::LookAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: BootEnv = BootEnv {
        root: Slot::B,
        is_on_trial: true,
    };

    fn settled(root: Slot) -> BootEnv {
        BootEnv {
            root,
            is_on_trial: false,
        }
    }

    /// The verdict after looks every ten seconds, of which those in `bad` found faults.
    fn verdict(bad: impl Fn(u64) -> bool) -> (u64, Verdict) {
        let mut trial = Trial::default();
        for seconds in (0..3600).step_by(10) {
            let faults = if bad(seconds) {
                vec!["the engine does not answer".to_owned()]
            } else {
                Vec::new()
            };
            trial = trial.after(&Look { faults }, Duration::from_secs(seconds));
            let verdict = decide(NEW, Slot::B, trial);
            if verdict != Verdict::LookAgain {
                return (seconds, verdict);
            }
        }
        panic!("it never ends");
    }

    #[test]
    fn a_system_that_works_for_a_minute_is_kept() {
        assert_eq!(verdict(|_| false), (60, Verdict::Keep(settled(Slot::B))));
        assert_eq!(
            verdict(|seconds| seconds < 300),
            (360, Verdict::Keep(settled(Slot::B)))
        );
        // A minute without a break.
        assert_eq!(
            verdict(|seconds| seconds == 50),
            (120, Verdict::Keep(settled(Slot::B)))
        );
        assert_eq!(
            verdict(|seconds| seconds < 890),
            (950, Verdict::Keep(settled(Slot::B)))
        );
    }

    #[test]
    fn a_system_that_does_not_work_is_given_up() {
        assert_eq!(verdict(|_| true), (900, Verdict::GiveUp(settled(Slot::A))));
        let flapping = verdict(|seconds| seconds % 50 == 0);
        assert_eq!(flapping, (900, Verdict::GiveUp(settled(Slot::A))));
    }

    #[test]
    fn where_nobody_is_on_trial_nothing_is_decided_anew() {
        let trial = Trial {
            age: PATIENCE,
            good_since: None,
        };
        assert_eq!(decide(settled(Slot::A), Slot::A, trial), Verdict::Ended);
        assert_eq!(decide(settled(Slot::A), Slot::B, trial), Verdict::Ended);
        assert_eq!(
            decide(NEW, Slot::A, trial),
            Verdict::FellBack(settled(Slot::A))
        );
    }
}
