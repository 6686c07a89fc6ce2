//! Opening a client's past, and what is said and done where it cannot be opened or read to its end.

use std::time::Duration;

use agent_api::log::LogLine;

use super::super::Subscription;
use super::super::attempts::{Broken, Part};
use super::super::joints::{self, Joints};
use super::super::past::{self, Past, Place, Remark};
use super::super::places::Places;
use super::super::tail::{self, Beginning};
use super::super::turns::Held;
use super::{Phase, Replay, Telling};
use crate::engine::{Connected, Link};
use crate::host::now_nanos;

/// Between two attempts to read past lines while the engine fails.
const RETRY: Duration = Duration::from_secs(1);
/// How often the past is read again because the queue did not hold what came meanwhile.
const MAX_ROUNDS: u32 = 3;

impl Replay {
    pub(super) async fn open(&mut self) {
        let link = self.link.borrow_and_update().clone();
        let connected = match link {
            Link::Up(connected) => Some(connected),
            Link::Down(reason) if self.asked.once => {
                self.trouble(format!(
                    "past lines are missing, the engine is away: {reason}"
                ));
                None
            }
            Link::Down(reason) => {
                let text = format!("past lines come when the engine is back: {reason}");
                // Told before it is waited for.
                if !self.trouble(text) {
                    self.link_changed().await;
                }
                return;
            }
            Link::Connecting => return self.link_changed().await,
        };
        let turn = self.hub.turns.next().await;
        match self.try_open(connected.as_ref()).await {
            Ok(telling) => self.phase = Phase::Past(Held::new(Box::new(telling), turn)),
            Err(broken) => {
                drop(turn);
                self.fail(broken).await;
            }
        }
    }

    async fn link_changed(&mut self) {
        if self.link.changed().await.is_err() {
            // The agent ends, and whoever answers is told so: this is not the end of what was asked for.
            std::future::pending::<()>().await;
        }
        self.attempts.forgive();
    }

    async fn try_open(&mut self, connected: Option<&Connected>) -> Result<Telling, Broken> {
        if self.told.clock_was_set_back(now_nanos()) {
            self.remark(joints::clock_words("services"));
        }
        let place = Place {
            hub: &self.hub,
            connected,
            confinement: self.confinement.as_ref(),
            attempts: &self.attempts,
        };
        if self.asked.counts_back()
            && let Some(count) = self.asked.tail
        {
            let last = tail::last(place, &self.asked, &self.told, count).await?;
            // Without past lines everything is told that came since.
            let beginning = last.unwrap_or(Beginning {
                nanos: self.begun,
                skip: 0,
                end: self.begun,
            });
            self.asked.tail = None;
            if self.asked.once {
                self.asked.end_by(beginning.end);
            }
            self.since = self.told.since().max(beginning.nanos);
            self.told = Places::new(self.since, []);
            self.beginning = beginning;
        }
        let mut past = Past::open(place, &self.asked, &self.told, None).await?;
        let behind = self.told.clone();
        for remark in past.remarks.drain(..) {
            for origin in remark.gone.into_iter().flat_map(past::origins) {
                self.told.forget(&origin);
            }
            self.say(remark);
        }
        Ok(Telling {
            past,
            joints: Joints::new(&behind),
            behind,
        })
    }

    /// A part of the past cannot be read at present.
    async fn fail(&mut self, broken: Broken) {
        self.phase = Phase::Opening;
        if self.attempts.fail(broken.part) {
            self.remark(match broken.part {
                Part::Engine => format!("past lines are missing: {}", broken.reason),
                Part::Journal | Part::Container(_) => {
                    format!("past lines are missing of {}", broken.reason)
                }
            });
            return;
        }
        self.trouble(format!("past lines cannot be read: {}", broken.reason));
        // An engine that comes back ends the wait.
        let changed = tokio::time::timeout(RETRY, self.link.changed()).await;
        if matches!(changed, Ok(Ok(()))) {
            self.attempts.forgive();
        }
    }

    /// Says what is wrong with the engine, once; whether it was new.
    fn trouble(&mut self, text: String) -> bool {
        let is_new = self.trouble.as_ref() != Some(&text);
        if is_new {
            let now = now_nanos() / 1_000_000;
            self.notices.push_back(LogLine::notice(text.clone(), now));
            self.trouble = Some(text);
        }
        is_new
    }

    fn remark(&mut self, text: String) {
        self.say(Remark { text, gone: None });
    }

    /// Says what is missing in the past, once.
    fn say(&mut self, remark: Remark) {
        if self.said.insert(remark.text.clone()) {
            let now = now_nanos() / 1_000_000;
            self.notices.push_back(LogLine {
                cursor: remark.mark(),
                ..LogLine::notice(remark.text, now)
            });
        }
    }

    pub(super) async fn end_of_past(&mut self, broken: Option<Broken>) {
        if let Some(broken) = broken {
            return self.fail(broken).await;
        }
        let overflowed = self.lines.as_ref().is_some_and(Subscription::has_dropped);
        if self.asked.once {
            self.phase = Phase::Over;
        } else if overflowed && self.rounds < MAX_ROUNDS {
            self.rounds += 1;
            // Before the old one goes, so that the readers do not pause.
            let lines = self.hub.subscribe(self.asked.wanted.clone());
            self.lines = Some(lines);
            self.phase = Phase::Opening;
        } else {
            if self.told.clock_was_set_back(now_nanos()) {
                self.remark(joints::clock_words("services"));
            }
            self.told.begin_anywhere();
            self.phase = Phase::Live;
        }
    }
}
