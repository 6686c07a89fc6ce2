//! Two logs told as one: that of the services, and the system's journal.
//!
//! In: a [`Replay`], a [`SystemLog`], or one of them. Out: what both tell, in the order of their times as long as both tell the past,
//! then as it comes. Of each at most one line waits here, so that neither is read faster than the client reads.

use std::pin::Pin;

use agent_api::log::LogLine;
use futures_util::{FutureExt, Stream, StreamExt, stream};

use super::journalctl::JournalError;
use super::replay::{Delivery, Replay, Step};
use super::system::{SystemItem, SystemLog};

type Steps<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// See the module.
pub(crate) struct Beside {
    services: Side<(Step, bool)>,
    system: Side<Result<SystemItem, JournalError>>,
    failed: Option<JournalError>,
}

struct Side<T> {
    /// `None` at its end.
    steps: Option<Steps<T>>,
    head: Option<Delivery>,
    /// It may still tell what is older than what the other one tells.
    is_past: bool,
}

/// What is known of the next line of one side. Pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next {
    /// Milliseconds since the Unix epoch; `None`: nothing is there yet.
    time: Option<i64>,
    is_past: bool,
}

/// Whose line is told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Services,
    System,
}

fn whose(services: Next, system: Next) -> Option<Whose> {
    match (services.time, system.time) {
        (Some(one), Some(other)) if one <= other => Some(Whose::Services),
        (Some(_), Some(_)) => Some(Whose::System),
        (Some(_), None) => (!system.is_past).then_some(Whose::Services),
        (None, Some(_)) => (!services.is_past).then_some(Whose::System),
        (None, None) => None,
    }
}

impl Beside {
    /// Both, or the journal alone.
    pub(crate) fn new(services: Option<Replay>, system: SystemLog) -> Self {
        let services = services.map(|replay| {
            let is_past = replay.is_past();
            let steps: Steps<_> = Box::pin(stream::unfold(replay, async |mut replay| {
                let step = replay.step().await?;
                Some(((step, replay.is_past()), replay))
            }));
            (steps, is_past)
        });
        let rows = stream::unfold(Some(system), async |system| {
            let mut system = system?;
            match system.next().await {
                Ok(item) => Some((Ok(item?), Some(system))),
                Err(error) => Some((Err(error), None)),
            }
        });
        let is_past = services.as_ref().is_some_and(|(_, is_past)| *is_past);
        Self {
            services: Side {
                steps: services.map(|(steps, _)| steps),
                head: None,
                is_past,
            },
            system: Side {
                steps: Some(Box::pin(rows)),
                head: None,
                is_past: true,
            },
            failed: None,
        }
    }

    /// What comes next; `None` at the end, or when the journal cannot be read any more ([`Self::failed`]). May be dropped while it
    /// waits.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.failed.is_some() {
                return None;
            }
            match whose(self.services.next(), self.system.next()) {
                Some(Whose::Services) => return self.services.head.take(),
                Some(Whose::System) => return self.system.head.take(),
                None if self.services.steps.is_none() && self.system.steps.is_none() => {
                    return None;
                }
                None => {}
            }
            tokio::select! {
                step = self.services.step() => self.take_step(step),
                item = self.system.step() => self.take_item(item),
            }
        }
    }

    /// What comes next, if it is there without waiting.
    pub(crate) fn ready(&mut self) -> Option<Delivery> {
        self.next().now_or_never().flatten()
    }

    /// Why the journal cannot be read any more.
    pub(crate) fn failed(&self) -> Option<&JournalError> {
        self.failed.as_ref()
    }

    fn take_step(&mut self, step: Option<(Step, bool)>) {
        let side = &mut self.services;
        let Some((step, is_past)) = step else {
            return side.end();
        };
        side.is_past = is_past;
        if let Step::Told(delivery) = step {
            side.head = Some(delivery);
        }
    }

    fn take_item(&mut self, item: Option<Result<SystemItem, JournalError>>) {
        let side = &mut self.system;
        match item {
            None => side.end(),
            Some(Ok(SystemItem::Present)) => side.is_past = false,
            Some(Ok(SystemItem::Line(line))) => side.head = Some(Delivery::Notice(line)),
            Some(Err(error)) => self.failed = Some(error),
        }
    }
}

impl<T> Side<T> {
    fn next(&self) -> Next {
        Next {
            time: self.head.as_ref().map(time),
            is_past: self.is_past,
        }
    }

    /// The next step, where one is wanted; else it never comes.
    async fn step(&mut self) -> Option<T> {
        match &mut self.steps {
            Some(steps) if self.head.is_none() => steps.next().await,
            _ => std::future::pending().await,
        }
    }

    fn end(&mut self) {
        self.steps = None;
        self.is_past = false;
    }
}

fn time(delivery: &Delivery) -> i64 {
    let text: &LogLine = match delivery {
        Delivery::Line(line) => &line.text,
        Delivery::Notice(notice) => notice,
    };
    text.timestamp.unwrap_or_default()
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside")
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_line_is_told_first_and_nobody_waits_for_what_is_to_come() {
        let next = |time, is_past| Next { time, is_past };
        for (services, system, told) in [
            (
                next(Some(1), true),
                next(Some(2), true),
                Some(Whose::Services),
            ),
            (
                next(Some(2), true),
                next(Some(1), true),
                Some(Whose::System),
            ),
            (next(Some(2), true), next(None, true), None),
            (next(None, true), next(Some(2), false), None),
            (
                next(Some(2), true),
                next(None, false),
                Some(Whose::Services),
            ),
            (next(None, false), next(Some(2), true), Some(Whose::System)),
            (next(None, true), next(None, false), None),
        ] {
            assert_eq!(whose(services, system), told, "{services:?} {system:?}");
        }
    }
}
