//! One client's log: first the past lines that it asked for, then what comes.
//!
//! In: what was asked, the [`Hub`], the engine. Out: lines in the order in which the client gets them, none left out and none
//! twice, and notices where something is missing after all. The client's queue is opened before the past is read, so that nothing
//! falls between; what is in both is told once, by its place. Where the queue overflows while a long past is told, the rest is
//! read as past once more.

mod opening;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use agent_api::cursor::{Cursor, Origin};
use agent_api::log::LogLine;
use tokio::sync::watch;

use super::attempts::Attempts;
use super::joints::{self, Joints};
use super::past::Past;
use super::places::Places;
use super::queue::{Dropped, Taken};
use super::tail::Beginning;
use super::turns::Held;
use super::{Asked, Hub, Line, Subscription};
use crate::engine::Link;
use crate::host::now_nanos;
use crate::model::Confinement;

/// The engine stamps a line before it can be read: how long behind the time of the last one lines are still waited for, in nanoseconds.
const SETTLING: i64 = 500_000_000;

/// What a client gets next.
#[derive(Debug, Clone)]
pub(crate) enum Delivery {
    /// A line.
    Line(Arc<Line>),
    /// A line about the log itself.
    Notice(LogLine),
}

/// What [`Replay::step`] has come to.
#[derive(Debug)]
pub(super) enum Step {
    /// Something to be told.
    Told(Delivery),
    /// Nothing yet.
    On,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Replay {
    hub: Hub,
    link: watch::Receiver<Link>,
    confinement: Option<Confinement>,
    asked: Asked,
    /// When it was asked, in nanoseconds since the Unix epoch: the queue has what comes later.
    begun: i64,
    told: Places,
    /// From when on lines are told of origins that were not named.
    since: i64,
    /// The last lines that came as they were written.
    live: HashMap<Origin, Cursor>,
    phase: Phase,
    lines: Option<Subscription>,
    notices: VecDeque<LogLine>,
    /// A line that comes behind a notice that was just given.
    waiting: Option<Arc<Line>>,
    /// Lines that are not among the last ones that were asked for.
    beginning: Beginning,
    rounds: u32,
    attempts: Attempts,
    /// What was last said about an engine that cannot be read.
    trouble: Option<String>,
    /// What was said about the past, and is not said again when it is opened anew.
    said: BTreeSet<String>,
}

#[derive(Debug)]
enum Phase {
    /// The past is to be opened.
    Opening,
    /// The past is told.
    Past(Held<Box<Telling>>),
    Live,
    Over,
}

#[derive(Debug)]
struct Telling {
    past: Past,
    /// What is behind these places is new.
    behind: Places,
    joints: Joints,
}

impl Replay {
    pub(crate) fn new(
        hub: &Hub,
        link: watch::Receiver<Link>,
        confinement: Option<Confinement>,
        mut asked: Asked,
    ) -> Self {
        let begun = now_nanos();
        let past = asked.past(begun);
        if asked.once && !asked.counts_back() {
            asked.end_by(begun);
        }
        let phase = match past {
            Some(_) => Phase::Opening,
            None if asked.once => Phase::Over,
            None => Phase::Live,
        };
        let lines = (!asked.once).then(|| hub.subscribe(asked.wanted.clone()));
        Self {
            hub: hub.clone(),
            link,
            confinement,
            begun,
            told: Places::new(past.unwrap_or_default(), asked.after.iter().copied()),
            since: past.unwrap_or(begun),
            live: HashMap::new(),
            asked,
            phase,
            lines,
            notices: VecDeque::new(),
            waiting: None,
            beginning: Beginning::default(),
            rounds: 0,
            attempts: Attempts::default(),
            trouble: None,
            said: BTreeSet::new(),
        }
    }

    /// What comes next; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Step::Told(delivery) = self.step().await? {
                return Some(delivery);
            }
        }
    }

    /// What comes next, or a step on the way there; `None` at the end.
    pub(super) async fn step(&mut self) -> Option<Step> {
        if let Some(ready) = self.ready() {
            return Some(Step::Told(ready));
        }
        let delivery = match &self.phase {
            Phase::Opening => {
                self.open().await;
                None
            }
            Phase::Past(_) => self.next_of_past().await,
            Phase::Live => {
                let Some(taken) = self.live().await else {
                    self.look_for_the_rest();
                    return Some(Step::On);
                };
                self.live_line(taken)
            }
            Phase::Over => return None,
        };
        Some(delivery.map_or(Step::On, Step::Told))
    }

    /// Whether the past is being told. One that cannot be read yet is not waited for.
    pub(super) fn is_past(&self) -> bool {
        match self.phase {
            Phase::Opening => self.trouble.is_none(),
            Phase::Past(_) => true,
            Phase::Live | Phase::Over => false,
        }
    }

    /// What comes next, if it is there without waiting.
    pub(crate) fn ready(&mut self) -> Option<Delivery> {
        if let Some(line) = self.waiting.take() {
            return Some(Delivery::Line(line));
        }
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Some(Delivery::Notice(notice));
            }
            let delivery = match &self.phase {
                Phase::Past(held) => {
                    let mut telling = held.take()?;
                    let Some(line) = telling.past.take_ready() else {
                        self.give_back(telling);
                        return None;
                    };
                    let delivery = self.past_line(&mut telling, line);
                    self.give_back(telling);
                    delivery
                }
                Phase::Live => {
                    let taken = self.lines.as_mut()?.try_next()?;
                    self.live_line(taken)
                }
                Phase::Opening | Phase::Over => return None,
            };
            if delivery.is_some() {
                return delivery;
            }
        }
    }

    async fn next_of_past(&mut self) -> Option<Delivery> {
        let Phase::Past(held) = &self.phase else {
            return None;
        };
        let Some(mut telling) = held.take() else {
            // It was not read for too long.
            self.phase = Phase::Opening;
            return None;
        };
        let Some(line) = telling.past.next().await else {
            let broken = telling.past.broken.take();
            drop(telling);
            self.end_of_past(broken).await;
            return None;
        };
        let delivery = self.past_line(&mut telling, line);
        self.give_back(telling);
        delivery
    }

    fn give_back(&self, telling: Box<Telling>) {
        if let Phase::Past(held) = &self.phase {
            held.put(telling);
        }
    }

    fn past_line(&mut self, telling: &mut Telling, line: Arc<Line>) -> Option<Delivery> {
        let breaks = telling.joints.breaks_at(&line.place);
        if !telling.behind.is_new(&line.place) || !self.asked.wanted.wants(&line) {
            return None;
        }
        self.told.note(&line.place);
        if self.beginning.skip > 0 {
            self.beginning.skip -= 1;
            return None;
        }
        if breaks {
            self.waiting = Some(Arc::clone(&line));
            return Some(Delivery::Notice(hole_before(&line)));
        }
        Some(Delivery::Line(line))
    }

    fn live_line(&mut self, taken: Taken) -> Option<Delivery> {
        match taken {
            Taken::Line(line) => {
                if !self.told.is_new(&line.place) {
                    return None;
                }
                // From here on this origin has left the past behind, whatever its clock says.
                self.told.forget(&line.place.origin);
                if self.asked.wanted.until.is_some() {
                    self.live.insert(line.place.origin, line.place);
                }
                Some(Delivery::Line(line))
            }
            Taken::Notice(notice) => Some(Delivery::Notice(LogLine::clone(&notice))),
            Taken::Dropped(dropped) => Some(Delivery::Notice(told_of(&dropped))),
        }
    }

    /// The next thing in the queue; `None` when the time that was asked for is over.
    async fn live(&mut self) -> Option<Taken> {
        let lines = self.lines.as_mut()?;
        let Some(until) = self.asked.wanted.until else {
            return Some(lines.next().await);
        };
        let end = until.saturating_add(SETTLING);
        let left = u64::try_from(end.saturating_sub(now_nanos())).unwrap_or_default();
        let taken = tokio::time::timeout(Duration::from_nanos(left), lines.next()).await;
        taken.ok()
    }

    /// The time that was asked for is over, but not everything may have been read that was written until then.
    fn look_for_the_rest(&mut self) {
        let mut named: HashMap<Origin, Cursor> = self
            .told
            .named()
            .map(|cursor| (cursor.origin, cursor))
            .collect();
        named.extend(self.live.drain());
        self.told = Places::new(self.since, named.into_values());
        self.asked.once = true;
        self.lines = None;
        self.phase = Phase::Opening;
    }
}

/// What is said where lines before this one are not kept any more.
fn hole_before(line: &Line) -> LogLine {
    let service = line.text.service_name.as_deref().unwrap_or_default();
    LogLine::notice(
        joints::words(service),
        line.text.timestamp.unwrap_or_default(),
    )
}

fn told_of(dropped: &Dropped) -> LogLine {
    let lines = dropped.lines;
    let whose = if dropped.service.is_empty() {
        "the device itself"
    } else {
        &dropped.service
    };
    LogLine::notice(format!("{lines} lines of {whose} dropped"), dropped.at)
}
