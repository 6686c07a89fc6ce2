//! The query of `GET /os/v1/logs` → what is asked for. Pure, and bounded whatever stands in it.

use agent_api::cursor::{JournalPlace, MAX_PLACES};
use jiff::Timestamp;

use crate::logs::{Asked, MAX_TAIL};

/// Names of services in one query.
const MAX_SERVICES: usize = 1000;
/// Characters of a value that are told back.
const QUOTED: usize = 64;

/// Query of `GET /os/v1/logs`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LogQuery {
    /// Which lines.
    pub(super) asked: Asked,
    /// The system's journal in the place of the agent's own lines, which stand in it.
    pub(super) journal: bool,
    /// The last row of the journal that the client has.
    pub(super) after_row: Option<JournalPlace>,
    /// What is said about a wish that is not granted.
    pub(super) capped: Option<String>,
}

impl LogQuery {
    /// Whether services' lines can be wanted: one without a name there is none.
    pub(super) fn names_a_service(&self) -> bool {
        let services = &self.asked.wanted.services;
        services.is_empty() || services.iter().any(|name| !name.is_empty())
    }

    /// Unknown keys are ignored, so that newer clients are understood.
    pub(super) fn from_pairs(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut query = Self::default();
        let mut system = None;
        for (key, value) in pairs {
            let asked = &mut query.asked;
            match key.as_str() {
                "tail" => {
                    let count: usize = value.parse().map_err(|_| {
                        format!("tail: `{}` is not a number of lines", quoted(&value))
                    })?;
                    query.capped = (count > MAX_TAIL)
                        .then(|| format!("only the last {MAX_TAIL} lines are told"));
                    asked.tail = Some(count.min(MAX_TAIL));
                }
                "service" if asked.wanted.services.len() == MAX_SERVICES => {
                    return Err(format!("service: there are more than {MAX_SERVICES}"));
                }
                "service" => asked.wanted.services.push(value),
                "stream" => asked.wanted.is_std_err = Some(is_std_err(&value)?),
                "since" => asked.since = Some(nanos("since", &value)?),
                "until" => asked.wanted.until = Some(nanos("until", &value)?),
                "after" => {
                    for place in value.split(',').filter(|place| !place.is_empty()) {
                        if asked.after.len() == MAX_PLACES {
                            return Err(format!("after: there are more than {MAX_PLACES} places"));
                        }
                        if let Ok(place) = place.parse() {
                            query.after_row = Some(place);
                            continue;
                        }
                        let place = place
                            .parse()
                            .map_err(|error| format!("after: `{}` is {error}", quoted(place)))?;
                        asked.after.push(place);
                    }
                }
                "follow" => asked.once = !truth("follow", &value)?,
                "journal" => query.journal = truth("journal", &value)?,
                "system" => system = Some(truth("system", &value)?),
                _ => {}
            }
        }
        let wanted = &mut query.asked.wanted;
        wanted.system = system.unwrap_or(wanted.services.is_empty() && wanted.is_std_err.is_none());
        Ok(query)
    }
}

fn truth(key: &str, value: &str) -> Result<bool, String> {
    value
        .parse()
        .map_err(|_| format!("{key}: `{}` is neither true nor false", quoted(value)))
}

fn is_std_err(value: &str) -> Result<bool, String> {
    match value {
        "stdout" => Ok(false),
        "stderr" => Ok(true),
        _ => Err(format!(
            "stream: `{}` is neither stdout nor stderr",
            quoted(value)
        )),
    }
}

/// Nanoseconds since the Unix epoch, from RFC 3339 or from seconds with at most nine decimals.
fn nanos(key: &str, value: &str) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{key}: `{}` is no time: RFC 3339 or seconds since 1970 with a fraction are expected",
            quoted(value)
        )
    };
    let from_seconds = || {
        let (seconds, fraction) = value.split_once('.').unwrap_or((value, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
            return None;
        }
        let fraction: i64 = format!("{fraction:0<9}").parse().ok()?;
        let seconds: i64 = seconds.parse().ok()?;
        seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
    };
    if let Some(nanos) = from_seconds() {
        return Ok(nanos);
    }
    let time: Timestamp = value.parse().map_err(|_| wrong())?;
    i64::try_from(time.as_nanosecond())
        .ok()
        .filter(|nanos| *nanos >= 0)
        .ok_or_else(wrong)
}

/// What is told back of a value that is not understood.
fn quoted(value: &str) -> String {
    let mut text: String = value.chars().take(QUOTED).collect();
    if text.len() < value.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use agent_api::cursor::{Cursor, Origin};

    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Result<LogQuery, String> {
        LogQuery::from_pairs(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn log_queries_name_services_and_bound_the_tail() {
        let LogQuery { asked, capped, .. } = query(&[
            ("tail", "99999999"),
            ("service", "a"),
            ("service", "b"),
            ("later", "x"),
        ])
        .unwrap();
        assert_eq!(asked.tail, Some(MAX_TAIL));
        assert_eq!(capped.unwrap(), "only the last 100000 lines are told");
        assert_eq!(asked.wanted.services, ["a", "b"]);
        assert!(query(&[("tail", "-1")]).is_err());
        assert!(query(&[("system", "maybe")]).is_err());
        assert!(!asked.once);
        assert!(query(&[("follow", "false")]).unwrap().asked.once);
        assert!(query(&[("follow", "never")]).is_err());
    }

    #[test]
    fn the_agents_own_lines_stand_apart_from_those_of_services() {
        for (pairs, system) in [
            (&[][..], true),
            (&[("service", "a")], false),
            (&[("stream", "stderr")], false),
            (&[("service", "a"), ("system", "true")], true),
            (&[("system", "false")], false),
        ] {
            let asked = query(pairs).unwrap().asked;
            assert_eq!(asked.wanted.system, system, "{pairs:?}");
        }
    }

    #[test]
    fn times_come_in_two_forms() {
        let at = |value| nanos("since", value);
        for (value, nanos) in [
            ("1795402963", 1_795_402_963_000_000_000),
            ("1795402963.5", 1_795_402_963_500_000_000),
            ("1795402963.000000001", 1_795_402_963_000_000_001),
            ("2026-11-23T03:02:43.927000001Z", 1_795_402_963_927_000_001),
            ("2026-11-23T04:02:43+01:00", 1_795_402_963_000_000_000),
        ] {
            assert_eq!(at(value), Ok(nanos), "{value}");
        }
        for value in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e9",
            "10m",
            "now",
            "1.0000000001",
            "99999999999999999999",
            "9999999999999",
            "1969-01-01T00:00:00Z",
            "2026-11-23",
        ] {
            let error = at(value).unwrap_err();
            assert!(error.starts_with("since: `"), "{error}");
        }
    }

    #[test]
    fn the_journal_has_a_place_of_its_own() {
        let read = query(&[
            ("service", ""),
            ("system", "true"),
            ("journal", "true"),
            ("after", "r9f3a01bc.7.1,s=1;i=2"),
        ])
        .unwrap();
        assert!(read.journal && !read.names_a_service());
        assert_eq!(read.after_row.unwrap().as_str(), "s=1;i=2");
        assert_eq!(read.asked.after.len(), 1);
        assert!(query(&[("service", "a")]).unwrap().names_a_service());
        assert!(query(&[]).unwrap().names_a_service());
        assert!(query(&[("journal", "maybe")]).is_err());
    }

    #[test]
    fn places_are_read_or_named() {
        let text = "3567abcdef01o.5.2,r9f3a01bc.7.1";
        let asked = query(&[("after", text), ("since", "4"), ("until", "9")])
            .unwrap()
            .asked;
        assert_eq!(
            asked.after,
            [
                Cursor {
                    origin: Origin::Stream {
                        container: 0x3567_abcd_ef01,
                        is_std_err: false
                    },
                    nanos: 5,
                    count: 2
                },
                Cursor {
                    origin: Origin::Agent { run: 0x9f3a_01bc },
                    nanos: 7,
                    count: 1
                },
            ]
        );
        assert_eq!(asked.past(99), Some(4_000_000_000));
        assert_eq!(asked.wanted.until, Some(9_000_000_000));
        assert_eq!(
            query(&[("after", "nonsense")]).unwrap_err(),
            "after: `nonsense` is not a place in a log"
        );
        let many = vec!["3567abcdef01o.5.2"; MAX_PLACES + 1].join(",");
        assert!(query(&[("after", &many)]).is_err());
        assert!(query(&[("stream", "both")]).is_err());
        let long = query(&[("after", &"x".repeat(5000))]).unwrap_err();
        assert_eq!(
            long,
            format!("after: `{}…` is not a place in a log", "x".repeat(QUOTED))
        );
    }

    #[test]
    fn the_past_begins_where_it_is_asked_to() {
        for (pairs, past) in [
            (&[][..], None),
            (&[("tail", "0")], None),
            (&[("tail", "5")], Some(0)),
            (&[("since", "7")], Some(7_000_000_000)),
            (&[("since", "7"), ("tail", "5")], Some(7_000_000_000)),
            (&[("until", "7")], Some(0)),
            (&[("after", "3567abcdef01o.5.2")], Some(99)),
        ] {
            assert_eq!(query(pairs).unwrap().asked.past(99), past, "{pairs:?}");
        }
    }
}
