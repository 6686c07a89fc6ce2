//! Which lines a client wants. Pure.

use agent_api::cursor::Cursor;

use super::Line;

/// Which lines, whenever they come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Empty: every service.
    pub(crate) services: Vec<String>,
    /// Lines of the agent itself too.
    pub(crate) system: bool,
    /// Of services only standard error, or only standard output.
    pub(crate) is_std_err: Option<bool>,
    /// Only lines of this time or earlier, in nanoseconds since the Unix epoch.
    pub(crate) until: Option<i64>,
}

impl Wanted {
    /// All there is.
    pub(crate) fn everything() -> Self {
        Self {
            system: true,
            ..Self::default()
        }
    }

    /// Whether a service's lines may be wanted.
    pub(crate) fn wants_service(&self, name: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|own| own == name)
    }

    /// Whether services are asked for by their names, and heard in full then.
    pub(super) fn names_services(&self) -> bool {
        !self.services.is_empty()
    }

    /// Whether a line is wanted.
    pub(crate) fn wants(&self, line: &Line) -> bool {
        let kind = match &line.text.service_name {
            Some(name) => {
                self.wants_service(name)
                    && (!line.is_withheld || self.names_services())
                    && (self.is_std_err.is_none() || self.is_std_err == line.text.is_std_err)
            }
            None => self.system,
        };
        kind && self.until.is_none_or(|until| line.place.nanos <= until)
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Which lines.
    pub(crate) wanted: Wanted,
    /// Past lines begin at this time, in nanoseconds since the Unix epoch.
    pub(crate) since: Option<i64>,
    /// Only the last ones of the past lines.
    pub(crate) tail: Option<usize>,
    /// Lines that the client has; of these origins only what follows is wanted.
    pub(crate) after: Vec<Cursor>,
    /// End after the past lines.
    pub(crate) once: bool,
}

impl Asked {
    /// Whether the beginning of the past has to be counted from its end.
    pub(crate) fn counts_back(&self) -> bool {
        self.after.is_empty() && self.tail.is_some_and(|count| count > 0)
    }

    /// Nothing later than this is wanted any more.
    pub(crate) fn end_by(&mut self, nanos: i64) {
        let until = self.wanted.until.map_or(nanos, |until| until.min(nanos));
        self.wanted.until = Some(until);
    }

    /// From when on past lines are wanted of origins that `after` does not name; `None` when no past lines are.
    pub(crate) fn past(&self, now: i64) -> Option<i64> {
        if !self.after.is_empty() {
            return Some(self.since.unwrap_or(now));
        }
        match (self.since, self.tail) {
            (_, Some(0)) => None,
            (Some(since), _) => Some(since),
            (None, Some(_)) => Some(0),
            (None, None) => self.wanted.until.map(|_| 0),
        }
    }
}
