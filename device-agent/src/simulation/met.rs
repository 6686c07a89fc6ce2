//! How often what the simulation is for came about: an invariant about something that never happens says nothing.

use std::collections::BTreeMap;
use std::fmt;

/// Something that some seed must bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Met {
    /// The agent is killed in the middle of an operation on the disk.
    KillAtDisk,
    PowerCut,
    FullDisk,
    FailedWrite,
    /// A second reading follows at once, since an image's name may mean another image now.
    SecondReading,
    PullWithoutRoom,
    StuckRemoval,
    /// Locks could not be taken because a service took its own meanwhile.
    RefusedLock,
    /// A service's lock was overridden.
    ForcedLock,
    /// The agent lets go of locks that a dead one left.
    StaleLock,
    /// A request is refused because of a lock.
    RefusedRequest,
    /// A volume goes because of a purge.
    Purge,
    /// A volume goes because one service was purged.
    PurgeOfOne,
    /// One service is purged that shares a volume with another.
    SharedPurge,
    /// What is being done is begun anew on request.
    Anew,
    /// A volume goes because nobody uses it.
    CleanUp,
    /// A volume goes because its target lets it go.
    LetGo,
    /// Something that came in a local session goes at its end.
    Leftover,
    Preview,
    /// A container that has ended is to be started on request.
    StartAgain,
    /// A session ends and leaves something.
    EndOfSession,
    /// The agent is never told of something that happened.
    LostEvent,
    /// The events stop and it takes time until the agent notices.
    HalfOpen,
    /// The old container goes because the new one says so.
    HandOver,
    /// The old container goes because its time is over.
    LongHandOver,
    CreateWithoutRoom,
    /// A new container could not be connected to all of its networks.
    HalfInstalled,
    /// What was there before a release that is rejected goes on.
    Rejected,
    /// A service goes because its release does without it.
    LeftOut,
    /// Two networks have one name.
    Twin,
    /// Somebody asks for nothing to be changed, and nothing is.
    Stillness,
    /// A service runs for the first time after a start of the machine that its label asked for.
    RestartForService,
    /// The agent wants the machine to be started anew, and it is.
    Restart,
    /// A target comes while the one before is being applied.
    TargetMidWay,
    /// Local mode is switched while a target is being applied.
    SwitchMidWay,
    /// The engine ends.
    EngineEnd,
    /// A container cannot be taken away and is dead.
    DeadContainer,
    /// What was written and not flushed is lost with the power.
    LostWrite,
    /// What was written and is said to be flushed is lost with the power.
    LyingDisk,
    /// The engine refuses something that it could do.
    FailedCall,
    /// The engine does something and says that it did not.
    DoneAndFailed,
    /// An answer does not come in time.
    NoAnswer,
    /// An answer overtakes that of an earlier call.
    Overtaken,
    /// Somebody stops, starts or restarts a container.
    ByHand,
    /// A service has a second container, as an agent before this one may have left.
    Duplicate,
}

impl Met {
    const ALL: [Self; 45] = [
        Self::KillAtDisk,
        Self::PowerCut,
        Self::FullDisk,
        Self::FailedWrite,
        Self::SecondReading,
        Self::PullWithoutRoom,
        Self::StuckRemoval,
        Self::RefusedLock,
        Self::ForcedLock,
        Self::StaleLock,
        Self::RefusedRequest,
        Self::Purge,
        Self::PurgeOfOne,
        Self::SharedPurge,
        Self::Anew,
        Self::CleanUp,
        Self::LetGo,
        Self::Leftover,
        Self::Preview,
        Self::StartAgain,
        Self::EndOfSession,
        Self::LostEvent,
        Self::HalfOpen,
        Self::HandOver,
        Self::LongHandOver,
        Self::CreateWithoutRoom,
        Self::HalfInstalled,
        Self::Rejected,
        Self::LeftOut,
        Self::Twin,
        Self::Stillness,
        Self::RestartForService,
        Self::Restart,
        Self::TargetMidWay,
        Self::SwitchMidWay,
        Self::EngineEnd,
        Self::DeadContainer,
        Self::LostWrite,
        Self::LyingDisk,
        Self::FailedCall,
        Self::DoneAndFailed,
        Self::NoAnswer,
        Self::Overtaken,
        Self::ByHand,
        Self::Duplicate,
    ];
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(BTreeMap<Met, u64>);

impl Counts {
    pub(super) fn add(&mut self, met: Met) {
        *self.0.entry(met).or_default() += 1;
    }

    pub(super) fn has(&self, met: Met) -> bool {
        self.0.contains_key(&met)
    }

    /// Adds those of another seed.
    pub(super) fn join(&mut self, other: &Self) {
        for (met, times) in &other.0 {
            *self.0.entry(*met).or_default() += times;
        }
    }

    /// What never came about.
    pub(super) fn missing(&self) -> Vec<Met> {
        let all = Met::ALL.into_iter();
        all.filter(|met| !self.0.contains_key(met)).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for met in Met::ALL {
            let times = self.0.get(&met).copied().unwrap_or_default();
            writeln!(f, "{times:>9} {met:?}")?;
        }
        Ok(())
    }
}
