//! What our agent is asked for when its log is read. Pure.

use agent_api::cursor::{Cursor, JournalPlace};
use jiff::Timestamp;

use super::Position;
use crate::transport::encode_query;

/// Which lines of our agent's log are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// How many past lines come first.
    pub tail: Option<u32>,
    /// Past lines begin here.
    pub since: Option<Timestamp>,
    /// No line after this time.
    pub until: Option<Timestamp>,
    /// Only these services; all when empty, unless only the device's own lines are wanted.
    pub services: Vec<String>,
    /// Only one of the streams of services.
    pub stream: Option<LogSource>,
    /// Lines of the device itself: on their own, or beside those of the services that were named.
    pub system: bool,
    /// The journal of the device's system in the place of its agent's own lines.
    pub journal: bool,
    /// End after the past lines.
    pub once: bool,
    /// Lines that are here already: of their origins only what follows is wanted.
    pub after: Vec<Cursor>,
    /// The last row of the journal that is here.
    pub after_row: Option<JournalPlace>,
}

/// Where a service writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogQuery {
    /// The same, behind what was read. Before the first line the past is wanted as it was at first.
    #[must_use]
    pub fn behind(&self, position: &Position) -> Self {
        let query = self.behind_lines(position);
        Self {
            after_row: position.journal().cloned(),
            ..query
        }
    }

    fn behind_lines(&self, position: &Position) -> Self {
        let at = |nanos: i64| Timestamp::from_nanosecond(i128::from(nanos)).ok();
        let after = position.places();
        if after.is_empty() {
            let begun = position.begun().and_then(at);
            // The last none of the past lines are none.
            let wants_past = self
                .tail
                .map_or(self.since.is_some() || self.until.is_some(), |count| {
                    count > 0
                });
            return match begun {
                Some(_) if !wants_past => Self {
                    since: begun,
                    tail: None,
                    ..self.clone()
                },
                _ => self.clone(),
            };
        }
        Self {
            tail: None,
            since: position.since().and_then(at),
            after,
            ..self.clone()
        }
    }

    /// Path and query of the request.
    pub(super) fn path(&self) -> String {
        let mut query = Vec::new();
        query.extend(self.tail.map(|count| format!("tail={count}")));
        query.extend(self.since.map(|time| format!("since={}", seconds(time))));
        query.extend(self.until.map(|time| format!("until={}", seconds(time))));
        let services = self.services.iter();
        query.extend(services.map(|name| format!("service={}", encode_query(name))));
        query.extend(self.stream.map(|stream| match stream {
            LogSource::Stdout => "stream=stdout".to_owned(),
            LogSource::Stderr => "stream=stderr".to_owned(),
        }));
        if self.system {
            if self.services.is_empty() {
                // No service has an empty name.
                query.push("service=".to_owned());
            }
            query.push("system=true".to_owned());
        }
        if self.journal {
            query.push("journal=true".to_owned());
        }
        if self.once {
            query.push("follow=false".to_owned());
        }
        let row = self.after_row.iter();
        let row = row.map(|place| encode_query(place.as_str()));
        let places: Vec<String> = self
            .after
            .iter()
            .map(Cursor::to_string)
            .chain(row)
            .collect();
        if !places.is_empty() {
            query.push(format!("after={}", places.join(",")));
        }
        if query.is_empty() {
            return "/os/v1/logs".to_owned();
        }
        format!("/os/v1/logs?{}", query.join("&"))
    }
}

/// Seconds since 1970, to the nanosecond. A time before counts as 1970.
fn seconds(time: Timestamp) -> String {
    let time = time.max(Timestamp::UNIX_EPOCH);
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}

#[cfg(test)]
mod tests {
    use agent_api::log::LogLine;

    use super::*;

    #[test]
    fn the_device_is_told_which_lines_are_wanted() {
        let query = |services: &[&str], system| LogQuery {
            services: services.iter().map(|&name| name.to_owned()).collect(),
            system,
            ..LogQuery::default()
        };
        for (query, path) in [
            (query(&[], false), "/os/v1/logs"),
            (
                query(&["a", "b&c"], false),
                "/os/v1/logs?service=a&service=b%26c",
            ),
            (query(&["a"], true), "/os/v1/logs?service=a&system=true"),
            (query(&[], true), "/os/v1/logs?service=&system=true"),
            (
                LogQuery {
                    tail: Some(5),
                    once: true,
                    ..LogQuery::default()
                },
                "/os/v1/logs?tail=5&follow=false",
            ),
            (
                LogQuery {
                    since: "2026-11-23T03:02:43.927000001Z".parse().ok(),
                    until: Some(Timestamp::MIN),
                    stream: Some(LogSource::Stderr),
                    after: vec![
                        "3567abcdef01o.5.2".parse().unwrap(),
                        "r00000001.7.1".parse().unwrap(),
                    ],
                    ..LogQuery::default()
                },
                "/os/v1/logs?since=1795402963.927000001&until=0.000000000&stream=stderr\
                 &after=3567abcdef01o.5.2,r00000001.7.1",
            ),
        ] {
            assert_eq!(query.path(), path);
        }
    }

    #[test]
    fn the_journal_is_asked_for_behind_its_last_row() {
        let query = LogQuery {
            system: true,
            journal: true,
            tail: Some(5),
            ..LogQuery::default()
        };
        let mut position = Position::default();
        position.note(&LogLine {
            cursor: Some("s=1;i=2".to_owned()),
            ..LogLine::system("x", 1)
        });
        assert_eq!(
            query.behind(&position).path(),
            "/os/v1/logs?tail=5&service=&system=true&journal=true&after=s%3D1%3Bi%3D2"
        );
    }

    #[test]
    fn what_is_asked_for_again_begins_behind_what_was_read() {
        let query = |tail, since: Option<&str>| LogQuery {
            tail,
            since: since.and_then(|time| time.parse().ok()),
            services: vec!["web".to_owned()],
            ..LogQuery::default()
        };
        let mut position = Position::default();
        assert_eq!(query(Some(5), None).behind(&position), query(Some(5), None));
        position.note(&LogLine {
            cursor: Some("r00000001.2000000000.0".to_owned()),
            ..LogLine::greeting()
        });
        assert_eq!(
            query(None, None).behind(&position),
            query(None, Some("1970-01-01T00:00:02Z"))
        );
        assert_eq!(query(Some(5), None).behind(&position), query(Some(5), None));
        // Without past lines it is the same, also when that was said in so many words.
        assert_eq!(
            query(Some(0), None).behind(&position),
            query(None, Some("1970-01-01T00:00:02Z"))
        );
        assert_eq!(
            query(Some(0), None).behind(&Position::default()),
            query(Some(0), None)
        );
        let since = Some("1970-01-01T00:00:01Z");
        assert_eq!(query(None, since).behind(&position), query(None, since));
        position.note(&LogLine {
            cursor: Some("3567abcdef01o.3000000000.2".to_owned()),
            ..LogLine::system("x", 3000)
        });
        assert_eq!(
            query(Some(5), None).behind(&position).path(),
            "/os/v1/logs?since=2.000000000&service=web&after=3567abcdef01o.3000000000.2"
        );
    }
}
