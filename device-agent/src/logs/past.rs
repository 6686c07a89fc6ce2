//! Past lines of everything that a client wants, in the order of their times.
//!
//! In: what the engine and the agent kept, and the journal for containers that are gone. Out: one line after the other, each read
//! when it is asked for: memory does not grow with the length of the past. What cannot be told is said. Where a part cannot be read
//! the past stops, so that the others do not run ahead of it; whether it is tried again is not decided here.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use agent_api::cursor::{Mark, Origin};

use super::attempts::{Attempts, Broken, Part};
use super::departed::Missing;
use super::journalctl::{Journal, Wish};
use super::kept::{self, Gap};
use super::places::{self, Places};
use super::reading::Reading;
use super::source::Source;
use super::{Asked, Hub, Line, containers};
use crate::engine::stream::Range;
use crate::engine::{Connected, EngineError};
use crate::model::Confinement;

/// Where past lines are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) hub: &'a Hub,
    /// `None`: the engine is away, and only the agent's own lines are told.
    pub(super) connected: Option<&'a Connected>,
    pub(super) confinement: Option<&'a Confinement>,
    /// What is given up is left out; that was said when it was given up.
    pub(super) attempts: &'a Attempts,
}

/// Something about the past that is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) text: String,
    /// A container of which nothing more comes.
    pub(super) gone: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Past {
    readings: Vec<Reading>,
    pub(super) remarks: VecDeque<Remark>,
    /// Why it stopped; another attempt may succeed.
    pub(super) broken: Option<Broken>,
    /// Of a long line several messages were counted.
    pub(super) is_short: bool,
}

impl Past {
    /// Opens everything that has lines behind these places; only the last `tail` messages of each where that is given.
    pub(super) async fn open(
        place: Place<'_>,
        asked: &Asked,
        told: &Places,
        tail: Option<usize>,
    ) -> Result<Self, Broken> {
        let mut past = Self::default();
        if asked.wanted.system {
            past.add_own(place.hub, asked, told);
        }
        let Some(connected) = place.connected else {
            return Ok(past);
        };
        if place.attempts.is_given_up(Part::Engine) {
            return Ok(past);
        }
        let found = containers::supervised(connected, place.confinement)
            .await
            .map_err(|error| Broken {
                part: Part::Engine,
                reason: error.to_string(),
            })?;
        let mut present: BTreeSet<u64> =
            found.iter().map(|(source, _)| source.container()).collect();
        for (source, _) in &found {
            let container = source.container();
            if !asked.wanted.wants_service(&source.service)
                || place.attempts.is_given_up(Part::Container(container))
            {
                continue;
            }
            let range = range(asked, told.begin_of(container), tail);
            let is_named = asked.wanted.names_services();
            if !past
                .add_container(connected, source, range, is_named)
                .await?
            {
                present.remove(&container);
            }
        }
        let named = told.containers();
        let gone: BTreeSet<u64> = named.difference(&present).copied().collect();
        let since = gone
            .iter()
            .map(|container| told.begin_of(*container))
            .fold(told.since(), i64::min);
        let wanted = &asked.wanted;
        let wish = Wish {
            since,
            // Rows tell neither which services are wanted nor which streams.
            tail: tail.filter(|_| wanted.services.is_empty() && wanted.is_std_err.is_none()),
            present: &present,
            named: &named,
        };
        past.add_journal(place, wish, (told, &gone)).await?;
        Ok(past)
    }

    fn add_own(&mut self, hub: &Hub, asked: &Asked, told: &Places) {
        let (lines, gap) = hub.lock().kept.after(told);
        self.readings.push(Reading::of(lines));
        let text = match gap {
            Some(Gap::Lines(count)) => format!(
                "{count} lines of the device itself are missing: it keeps its last {}",
                kept::MAX_LINES
            ),
            Some(Gap::Perhaps) => {
                "lines of the device itself may be missing: it has started anew and kept none"
                    .to_owned()
            }
            None => return,
        };
        // Who asks for the past knows that it has a beginning.
        if !asked.after.is_empty() {
            self.remark(text);
        }
    }

    /// Whether the container is still there.
    async fn add_container(
        &mut self,
        connected: &Connected,
        source: &Source,
        range: Range,
        is_named: bool,
    ) -> Result<bool, Broken> {
        match Reading::container(connected, source, range, is_named).await {
            Ok(reading) => self.readings.extend(reading),
            // It went away since the containers were listed, or is about to.
            Err(EngineError::NotFound(_) | EngineError::Conflict(_)) => return Ok(false),
            Err(error) if containers::cannot_be_read(&error) => {
                self.remark(format!(
                    "past lines of {} cannot be read: {error}",
                    source.service
                ));
            }
            Err(error) => {
                return Err(Broken {
                    part: Part::Container(source.container()),
                    reason: format!("{}: {error}", source.service),
                });
            }
        }
        Ok(true)
    }

    /// The lines of containers that are gone, or what is said in their place.
    async fn add_journal(
        &mut self,
        place: Place<'_>,
        wish: Wish<'_>,
        (told, gone): (&Places, &BTreeSet<u64>),
    ) -> Result<(), Broken> {
        let Some(connected) = place.connected else {
            return Ok(());
        };
        if place.attempts.is_given_up(Part::Journal) {
            // Nothing is known of containers that are gone: another time their lines may be there.
            return Ok(());
        }
        let journal = Journal::open(connected, place.confinement, wish)
            .await
            .map_err(|error| Broken {
                part: Part::Journal,
                reason: format!("containers that are gone: {error}"),
            })?;
        for container in gone {
            let is_read = journal
                .as_ref()
                .is_some_and(|journal| journal.has(*container));
            let missing = place.hub.lock().kept.departed().missing(*container, told);
            if let Some(text) = words(*container, missing).filter(|_| !is_read) {
                self.remarks.push_back(Remark {
                    text,
                    gone: Some(*container),
                });
            }
        }
        let left_out = journal.as_ref().map_or(0, Journal::left_out);
        if left_out > 0 {
            self.remark(format!(
                "lines of {left_out} containers that are gone are left out: there are too many of them"
            ));
        }
        self.readings.extend(journal.map(Reading::journal));
        Ok(())
    }

    fn remark(&mut self, text: String) {
        self.remarks.push_back(Remark { text, gone: None });
    }

    /// The next line, if it is known without reading.
    pub(super) fn take_ready(&mut self) -> Option<Arc<Line>> {
        if self.broken.is_some() || !self.readings.iter().all(Reading::is_ready) {
            return None;
        }
        self.take()
    }

    /// The next line; `None` at the end, or where reading broke off.
    pub(super) async fn next(&mut self) -> Option<Arc<Line>> {
        for reading in &mut self.readings {
            if let Err(broken) = reading.fill().await {
                self.broken = Some(broken);
                return None;
            }
        }
        self.take()
    }

    /// The next line of those that are known.
    fn take(&mut self) -> Option<Arc<Line>> {
        let is_short = &mut self.is_short;
        self.readings.retain(|reading| {
            let is_over = reading.is_ready() && reading.head().is_none();
            *is_short |= is_over && reading.is_short();
            !is_over
        });
        let next = self
            .readings
            .iter_mut()
            .filter(|reading| reading.head().is_some())
            .min_by_key(|reading| reading.head().map(|line| line.place.nanos));
        next.and_then(Reading::take)
    }
}

/// Which of a container's lines are read.
fn range(asked: &Asked, begin: i64, tail: Option<usize>) -> Range {
    Range {
        since: (begin > 0).then_some(begin),
        // The engine ends at the first line that is later, and a line of the other stream may come behind it.
        until: asked
            .wanted
            .until
            .map(|until| until.saturating_add(places::SLACK)),
        // The engine counts lines of both streams, so that of one alone all have to be looked at.
        tail: tail.filter(|_| asked.wanted.is_std_err.is_none()),
        follow: false,
        is_std_err: asked.wanted.is_std_err,
    }
}

/// What is said of a container that is gone.
fn words(container: u64, missing: Missing) -> Option<String> {
    let text = match missing {
        Missing::Nothing => return None,
        Missing::Lines(service) => format!(
            "lines of {service} are missing: its container {container:012x} is gone, and its lines with it"
        ),
        Missing::Perhaps(Some(service)) => format!(
            "lines of {service} may be missing: its container {container:012x} is gone, and its lines with it"
        ),
        Missing::Perhaps(None) => format!(
            "lines of container {container:012x} may be missing: it is gone, and its lines with it"
        ),
    };
    Some(text)
}

/// The places that a container's end makes useless.
pub(super) fn origins(container: u64) -> [Origin; 2] {
    [false, true].map(|is_std_err| Origin::Stream {
        container,
        is_std_err,
    })
}

impl Remark {
    /// What stands in the line's cursor.
    pub(super) fn mark(&self) -> Option<String> {
        self.gone.map(|container| Mark::Gone(container).to_string())
    }
}
