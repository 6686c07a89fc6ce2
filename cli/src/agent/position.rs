//! How far a log was read, so that reading goes on exactly there. Pure.
//!
//! In: lines as they come. Out: what to ask for next: behind the last line of every origin, and from a time on for origins of
//! which nothing was seen.

use std::collections::BTreeMap;

use agent_api::{
    cursor::{Cursor, JournalPlace, MAX_PLACES, Mark, Origin},
    log::LogLine,
};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// When the first answer began, by the device's clock, in nanoseconds since the Unix epoch.
    begun: Option<i64>,
    /// When the present answer began.
    greeted: Option<i64>,
    /// Time of the newest line.
    newest: Option<i64>,
    /// The last line of each origin.
    last: BTreeMap<Origin, (i64, u32)>,
    /// The last row of the system's journal, which is read apart from all origins.
    journal: Option<JournalPlace>,
}

/// A position as it is kept in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// See [`Position`].
    begun: Option<i64>,
    newest: Option<i64>,
    /// Texts of [`Cursor`].
    last: Vec<String>,
    /// Text of [`JournalPlace`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    journal: Option<String>,
}

impl Position {
    /// Takes note of a line. Lines of agents that give them no place change nothing.
    pub fn note(&mut self, line: &LogLine) {
        if let Some(place) = place_in_journal(line.cursor.as_deref()) {
            self.journal = Some(place);
            return;
        }
        let mark = line.cursor.as_deref().and_then(|text| text.parse().ok());
        match mark {
            Some(Mark::At(cursor)) if line.timestamp.is_none() => {
                self.greeted = Some(cursor.nanos);
                self.begun = self.begun.or(self.greeted);
            }
            Some(Mark::At(cursor)) => self.reach(&cursor),
            Some(Mark::Gone(container)) => self.last.retain(|origin, _| {
                !matches!(origin, Origin::Stream { container: known, .. } if *known == container)
            }),
            None => {}
        }
    }

    fn reach(&mut self, cursor: &Cursor) {
        self.newest = self.newest.max(Some(cursor.nanos));
        if matches!(cursor.origin, Origin::Agent { .. }) {
            // A run that follows another one says so: only the latest counts.
            self.last.retain(|origin, _| {
                *origin == cursor.origin || !matches!(origin, Origin::Agent { .. })
            });
        }
        let at = (cursor.nanos, cursor.count);
        let last = self.last.entry(cursor.origin).or_insert(at);
        *last = at.max(*last);
        if self.last.len() > MAX_PLACES {
            let oldest = self.last.iter().min_by_key(|(_, at)| **at);
            if let Some((origin, nanos)) = oldest.map(|(origin, (nanos, _))| (*origin, *nanos)) {
                self.last.remove(&origin);
                // It counts among those of which nothing was seen: what was told of it must not come again.
                self.begun = self.begun.max(Some(nanos.saturating_add(1)));
            }
        }
    }

    /// When the present answer began, by the device's clock.
    #[must_use]
    pub fn greeted(&self) -> Option<i64> {
        self.greeted
    }

    /// When the first answer began, by the device's clock.
    #[must_use]
    pub fn begun(&self) -> Option<i64> {
        self.begun
    }

    /// The last lines; empty when there were none.
    #[must_use]
    pub fn places(&self) -> Vec<Cursor> {
        self.last
            .iter()
            .map(|(origin, (nanos, count))| Cursor {
                origin: *origin,
                nanos: *nanos,
                count: *count,
            })
            .collect()
    }

    /// The last row of the system's journal.
    #[must_use]
    pub fn journal(&self) -> Option<&JournalPlace> {
        self.journal.as_ref()
    }

    /// From when on origins are to be told of which nothing was seen. Past lines come in the order of their times, so that
    /// behind the newest one everything is missing where reading broke off among them.
    #[must_use]
    pub fn since(&self) -> Option<i64> {
        match (self.begun, self.newest) {
            (Some(begun), Some(newest)) => Some(begun.min(newest)),
            (begun, newest) => begun.or(newest),
        }
    }

    /// For a file.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved {
            begun: self.begun,
            newest: self.newest,
            last: self.places().iter().map(Cursor::to_string).collect(),
            journal: self.journal.as_ref().map(JournalPlace::to_string),
        }
    }

    /// From a file; places that cannot be read are left out.
    #[must_use]
    pub fn restore(saved: &Saved) -> Self {
        let mut position = Self {
            begun: saved.begun,
            journal: place_in_journal(saved.journal.as_deref()),
            ..Self::default()
        };
        for cursor in saved.last.iter().filter_map(|text| text.parse().ok()) {
            position.reach(&cursor);
        }
        position.newest = position.newest.max(saved.newest);
        position
    }
}

fn place_in_journal(text: Option<&str>) -> Option<JournalPlace> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cursor: &str) -> LogLine {
        LogLine {
            cursor: Some(cursor.to_owned()),
            ..LogLine::system("x", 1)
        }
    }

    fn greeting(cursor: &str) -> LogLine {
        LogLine {
            cursor: Some(cursor.to_owned()),
            ..LogLine::greeting()
        }
    }

    fn places(position: &Position) -> Vec<String> {
        position.places().iter().map(Cursor::to_string).collect()
    }

    #[test]
    fn the_last_line_of_every_origin_is_known() {
        let mut position = Position::default();
        assert_eq!((position.since(), places(&position).len()), (None, 0));
        position.note(&greeting("r00000001.100.7"));
        assert_eq!((position.since(), places(&position).len()), (Some(100), 0));
        for cursor in [
            "3567abcdef01o.110.1",
            "3567abcdef01o.110.2",
            "3567abcdef01e.109.1",
            "r00000001.111.8",
            "r00000002.112.1",
            "nonsense",
        ] {
            position.note(&line(cursor));
        }
        assert_eq!(
            places(&position),
            [
                "3567abcdef01o.110.2",
                "3567abcdef01e.109.1",
                "r00000002.112.1"
            ]
        );
        assert_eq!(position.since(), Some(100));
        position.note(&greeting("r00000002.300.7"));
        assert_eq!(
            (position.since(), position.greeted()),
            (Some(100), Some(300))
        );
        position.note(&line("3567abcdef01.gone"));
        assert_eq!(places(&position), ["r00000002.112.1"]);
        position.note(&LogLine::system("of an older agent", 5));
        assert_eq!(places(&position), ["r00000002.112.1"]);
    }

    #[test]
    fn among_past_lines_everything_behind_the_newest_is_missing() {
        let mut position = Position::default();
        position.note(&greeting("r00000001.100.7"));
        position.note(&line("3567abcdef01o.40.1"));
        assert_eq!(position.since(), Some(40));
        position.note(&line("3567abcdef01o.140.1"));
        assert_eq!(position.since(), Some(100));
    }

    #[test]
    fn the_journal_has_a_place_beside_all_others() {
        let mut position = Position::default();
        position.note(&greeting("r00000001.100.7"));
        position.note(&line("s=1;i=1"));
        position.note(&line("s=1;i=2"));
        assert_eq!(position.journal().unwrap().as_str(), "s=1;i=2");
        assert_eq!((position.since(), places(&position).len()), (Some(100), 0));
        let text = serde_json::to_string(&position.save()).unwrap();
        let restored = Position::restore(&serde_json::from_str(&text).unwrap());
        assert_eq!(restored.journal(), position.journal());
    }

    #[test]
    fn it_survives_in_a_file_and_stays_small() {
        let mut position = Position::default();
        position.note(&greeting("r00000001.100.7"));
        for container in 0..2 * MAX_PLACES {
            position.note(&line(&format!("{container:012x}o.{}.1", 200 + container)));
        }
        assert_eq!(position.last.len(), MAX_PLACES);
        let evicted = 200 + i64::try_from(MAX_PLACES).unwrap() - 1;
        assert_eq!(
            position.since(),
            Some(evicted + 1),
            "what was told of them is not told again"
        );
        let text = serde_json::to_string(&position.save()).unwrap();
        let restored = Position::restore(&serde_json::from_str(&text).unwrap());
        assert_eq!(
            Position {
                greeted: position.greeted,
                ..restored
            },
            position
        );
    }
}
