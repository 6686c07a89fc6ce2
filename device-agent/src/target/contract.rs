//! What a service requires of the device.
//!
//! What comes in: the `contract` of a service as it was sent. What goes out: a [`Contract`] of known types only, or what
//! is wrong with it. Whether a device meets it is decided in `plan/contracts`. Members that mean nothing are passed over.

use std::fmt;

use agent_api::compose::MAX_REQUIREMENTS;
use serde_json::{Map, Value};

use super::problem::{Problem, Problems, join};
use super::value::short_text;

/// What must hold for a service to run: every requirement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contract {
    /// In the order in which they were sent.
    pub requires: Vec<Requirement>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// This.
    One(Need),
    /// At least one of these.
    Any(Vec<Need>),
}

/// Something that the device must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub slug: Option<String>,
    /// A version, or a range of them as npm writes it.
    pub version: Option<String>,
    /// Whether it asks for more than the device says of itself.
    pub has_data: bool,
}

/// What can be required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The agent, by the version that it is compatible with.
    Supervisor,
    /// An application on the device: the agent under its name in the ecosystem.
    Application,
    /// Linux for Tegra.
    L4t,
    /// The operating system.
    Os,
    /// The kernel.
    Kernel,
    /// The device type.
    DeviceType,
    /// The architecture.
    Arch,
    /// What a composition may hold: workstations ask for it when it holds keys that are newer than those of a device.
    Composition,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Supervisor,
        Self::Application,
        Self::L4t,
        Self::Os,
        Self::Kernel,
        Self::DeviceType,
        Self::Arch,
        Self::Composition,
    ];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "sw.supervisor",
            Self::Application => "sw.application",
            Self::L4t => "sw.l4t",
            Self::Os => "sw.os",
            Self::Kernel => "sw.kernel",
            Self::DeviceType => "hw.device-type",
            Self::Arch => "arch.sw",
            Self::Composition => "sw.spec",
        }
    }
}

/// `sw.os balena-os >=6.0.0`, fit for a terminal.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        for word in [&self.slug, &self.version].into_iter().flatten() {
            write!(f, " {}", join("", word))?;
        }
        if self.has_data {
            f.write_str(" with data")?;
        }
        Ok(())
    }
}

/// `a or b`.
impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs = match self {
            Self::One(need) => std::slice::from_ref(need),
            Self::Any(needs) => needs,
        };
        for (index, need) in needs.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{need}")?;
        }
        Ok(())
    }
}

/// Reads a contract; paths of problems begin at it.
pub fn read(sent: &Value) -> Result<Contract, Vec<Problem>> {
    let mut problems = Problems::default();
    let contract = contract(sent, &mut problems).unwrap_or_default();
    problems.or(contract).map_err(|invalid| invalid.problems)
}

fn contract(sent: &Value, problems: &mut Problems) -> Option<Contract> {
    let Some(map) = sent.as_object() else {
        return problems.refuse("", "must be an object");
    };
    for key in ["type", "slug"] {
        text(map, key, "", problems);
    }
    let requires = list(map.get("requires"), "requires", problems)?;
    let requires = requires.iter().enumerate().filter_map(|(index, sent)| {
        requirement(sent, &join("requires", &index.to_string()), problems)
    });
    Some(Contract {
        requires: requires.collect(),
    })
}

fn requirement(sent: &Value, path: &str, problems: &mut Problems) -> Option<Requirement> {
    let Some(map) = sent.as_object() else {
        return problems.refuse(path, "must be an object");
    };
    if map.contains_key("type") || !map.contains_key("or") {
        return need(map, path, problems).map(Requirement::One);
    }
    let path = join(path, "or");
    let group = list(map.get("or"), &path, problems)?;
    if group.is_empty() {
        return problems.refuse(&path, "lists no requirement");
    }
    let needs = group.iter().enumerate().filter_map(|(index, sent)| {
        let path = join(&path, &index.to_string());
        match sent.as_object() {
            Some(map) => need(map, &path, problems),
            None => problems.refuse(&path, "must be an object"),
        }
    });
    Some(Requirement::Any(needs.collect()))
}

fn need(map: &Map<String, Value>, path: &str, problems: &mut Problems) -> Option<Need> {
    let slug = text(map, "slug", path, problems);
    let version = text(map, "version", path, problems);
    let at = join(path, "type");
    let Some(name) = map.get("type").filter(|name| !name.is_null()) else {
        return problems.refuse(&at, "is missing");
    };
    let name = match short_text(name) {
        Ok(name) => name,
        Err(message) => return problems.refuse(&at, message),
    };
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
        let message = format!("`{}` is no type of requirement", join("", name));
        return problems.refuse(&at, &message);
    };
    Some(Need {
        kind,
        slug,
        version,
        has_data: map
            .get("data")
            .and_then(Value::as_object)
            .is_some_and(|data| !data.is_empty()),
    })
}

/// A text that may be absent.
fn text(
    map: &Map<String, Value>,
    key: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<String> {
    let sent = map.get(key).filter(|value| !value.is_null())?;
    match sent.as_str() {
        // Nothing matches everything.
        Some("") => None,
        _ => match short_text(sent) {
            Ok(text) => Some(text.to_owned()),
            Err(message) => problems.refuse(&join(path, key), message),
        },
    }
}

/// A list that may be absent.
fn list<'a>(sent: Option<&'a Value>, path: &str, problems: &mut Problems) -> Option<&'a [Value]> {
    match sent {
        None | Some(Value::Null) => Some(&[]),
        Some(Value::Array(list)) if list.len() <= MAX_REQUIREMENTS => Some(list),
        Some(_) => {
            let message = format!("must be a list of up to {MAX_REQUIREMENTS} requirements");
            problems.refuse(path, &message)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(sent: &Value) -> Vec<String> {
        let problems = read(sent).expect_err("it must be refused");
        problems.into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn requirements_are_read_with_groups() {
        let contract = read(&json!({
            "type": "sw.container", "slug": "web", "name": "anything", "version": "1.0.0",
            "requires": [
                {"type": "sw.supervisor", "version": ">=10.0.0", "name": "x"},
                {"or": [{"type": "hw.device-type", "slug": "raspberrypi4-64"}, {"type": "arch.sw", "slug": "amd64", "data": {"a": 1}}]},
                {"type": "sw.os", "slug": null, "version": "", "data": {}},
            ],
        }));
        let told: Vec<_> = contract
            .unwrap()
            .requires
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "sw.supervisor >=10.0.0",
                "hw.device-type raspberrypi4-64 or arch.sw amd64 with data",
                "sw.os",
            ]
        );
        for nothing in [
            json!({}),
            json!({"requires": null}),
            json!({"requires": []}),
        ] {
            assert_eq!(read(&nothing), Ok(Contract::default()));
        }
    }

    #[test]
    fn what_may_be_required_is_what_workstations_let_pass() {
        assert_eq!(Kind::ALL.map(Kind::name), agent_api::compose::REQUIREMENTS);
    }

    #[test]
    fn an_unknown_type_is_named_with_its_place() {
        let sent = json!({"requires": [{"type": "arch.sw"}, {"or": [{"type": "sw.os"}, {"type": "sw.moon\n"}]}]});
        let problems = read(&sent).unwrap_err();
        assert_eq!(problems[0].path, "requires.1.or.1.type");
        assert_eq!(problems[0].message, "must be a text of 1 to 255 characters");
        let sent = json!({"requires": [{"type": "sw.moon"}]});
        assert_eq!(
            read(&sent).unwrap_err()[0].message,
            "`sw.moon` is no type of requirement"
        );
    }

    #[test]
    fn wrong_forms_are_told_where_they_are() {
        for (sent, wanted) in [
            (json!([]), vec![""]),
            (json!({"type": 1, "slug": true}), vec!["type", "slug"]),
            (json!({"requires": "all"}), vec!["requires"]),
            (
                json!({"requires": ["all", {"version": "1"}]}),
                vec!["requires.0", "requires.1.type"],
            ),
            (
                json!({"requires": [{"type": "sw.os", "version": 1, "slug": []}]}),
                vec!["requires.0.slug", "requires.0.version"],
            ),
            (
                json!({"requires": [{"or": []}, {"or": ["x"]}, {"or": 1}]}),
                vec!["requires.0.or", "requires.1.or.0", "requires.2.or"],
            ),
            (
                json!({"requires": vec![json!({"type": "sw.os"}); 65]}),
                vec!["requires"],
            ),
        ] {
            assert_eq!(paths(&sent), wanted, "{sent}");
        }
    }
}
