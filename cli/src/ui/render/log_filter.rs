//! Which log lines are shown. Pure.

use std::collections::BTreeSet;

use agent_api::log::LogLine;
use jiff::Timestamp;

use crate::agent::LogSource;

/// Which lines are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these services; all when empty.
    pub services: BTreeSet<String>,
    /// Lines of the device itself: on their own, or beside those of the services that were named.
    pub system: bool,
    /// Only one of the streams of services.
    pub stream: Option<LogSource>,
    /// No line before this time.
    pub since: Option<Timestamp>,
    /// No line after this time.
    pub until: Option<Timestamp>,
}

impl Filter {
    pub(super) fn shows(&self, line: &LogLine) -> bool {
        if line.is_notice == Some(true) {
            // It says what is missing among the lines that were asked for.
            return true;
        }
        let time = line.timestamp.unwrap_or_default();
        let in_time = self
            .since
            .is_none_or(|since| time >= since.as_millisecond())
            && self
                .until
                .is_none_or(|until| time <= until.as_millisecond());
        in_time
            && match &line.service_name {
                Some(service) => {
                    (self.services.contains(service) || (self.services.is_empty() && !self.system))
                        && self.stream.is_none_or(|stream| {
                            (stream == LogSource::Stderr) == (line.is_std_err == Some(true))
                        })
                }
                None => self.system || (self.services.is_empty() && self.stream.is_none()),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_those_of_existing_clients() {
        let line = |service: Option<&str>| LogLine {
            service_name: service.map(str::to_owned),
            is_system: service.is_none().then_some(true),
            ..LogLine::greeting()
        };
        let filter = |services: &[&str], system| Filter {
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            system,
            ..Filter::default()
        };
        for (filter, web, db, device) in [
            (filter(&[], false), true, true, true),
            (filter(&["web"], false), true, false, false),
            (filter(&["web"], true), true, false, true),
            (filter(&[], true), false, false, true),
        ] {
            assert_eq!(filter.shows(&line(Some("web"))), web, "{filter:?}");
            assert_eq!(filter.shows(&line(Some("db"))), db, "{filter:?}");
            assert_eq!(filter.shows(&line(None)), device, "{filter:?}");
        }
    }

    #[test]
    fn times_and_streams_are_filters_too_and_notices_pass_all_of_them() {
        let line = |timestamp, is_std_err| LogLine {
            service_name: Some("web".to_owned()),
            is_system: None,
            is_std_err: Some(is_std_err),
            ..LogLine::system("x", timestamp)
        };
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).ok();
        let filter = Filter {
            services: BTreeSet::from(["web".to_owned()]),
            stream: Some(LogSource::Stderr),
            since: at(10),
            until: at(20),
            ..Filter::default()
        };
        for (line, shown) in [
            (line(10, true), true),
            (line(20, true), true),
            (line(15, false), false),
            (line(9, true), false),
            (line(21, true), false),
            (LogLine::system("x", 15), false),
            (LogLine::notice("5 lines of web dropped", 1), true),
        ] {
            assert_eq!(filter.shows(&line), shown, "{line:?}");
        }
    }
}
