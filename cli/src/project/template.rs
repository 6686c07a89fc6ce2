//! `%%NAME%%` in Dockerfiles: facts about the device and the service, put in as text.
//!
//! In: the text and the values. Out: the text with the values. Nothing else in a template means anything: `<% %>`, `${}` and `$()`
//! stay as they are, and nothing of it is ever run on the workstation.

use thiserror::Error;

/// Stands for the release where there is none yet: what a local push deploys is not a release.
pub const LOCAL_RELEASE: &str = "10ca12e1ea5e";

/// Name of the application that a local push deploys.
pub const LOCAL_APP: &str = "localapp";

/// What the variables stand for.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// Device type.
    pub device_type: &'a str,
    /// Architecture.
    pub arch: &'a str,
    /// Service.
    pub service: &'a str,
}

/// A variable that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: unknown variable %%{variable}%%; known are {}", KNOWN.join(", "))]
pub struct UnknownVariable {
    /// Its name.
    pub variable: String,
    /// Where it stands, from 1.
    pub line: usize,
}

/// All variables.
const KNOWN: [&str; 7] = [
    "BALENA_ARCH",
    "BALENA_MACHINE_NAME",
    "BALENA_SERVICE_NAME",
    "BALENA_RELEASE_HASH",
    "BALENA_APP_NAME",
    "RESIN_ARCH",
    "RESIN_MACHINE_NAME",
];

impl Values<'_> {
    fn get(&self, variable: &str) -> Option<&str> {
        Some(match variable {
            "BALENA_ARCH" | "RESIN_ARCH" => self.arch,
            "BALENA_MACHINE_NAME" | "RESIN_MACHINE_NAME" => self.device_type,
            "BALENA_SERVICE_NAME" => self.service,
            "BALENA_RELEASE_HASH" => LOCAL_RELEASE,
            "BALENA_APP_NAME" => LOCAL_APP,
            _ => return None,
        })
    }
}

/// Replaces the variables of a text, line by line; comments stay as they are.
pub fn expand(text: &str, values: &Values<'_>) -> Result<String, UnknownVariable> {
    let mut expanded = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with('#') {
            expanded.push_str(line);
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find("%%") {
            let (before, from) = rest.split_at(at);
            expanded.push_str(before);
            let Some(variable) = variable(from) else {
                // The second of the two may begin a variable: `%%%NAME%%`.
                expanded.push('%');
                rest = from.get(1..).unwrap_or_default();
                continue;
            };
            let value = values.get(variable).ok_or_else(|| UnknownVariable {
                variable: variable.to_owned(),
                line: index + 1,
            })?;
            expanded.push_str(value);
            rest = from.get(variable.len() + 4..).unwrap_or_default();
        }
        expanded.push_str(rest);
    }
    Ok(expanded)
}

/// The name in a text that begins with `%%NAME%%`: a capital letter, then at least one capital letter or underscore.
fn variable(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("%%")?.split_once("%%")?;
    let capitals = name
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    (capitals && name.len() >= 2 && !name.starts_with('_')).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{UnknownVariable, Values, expand};

    const VALUES: Values<'static> = Values {
        device_type: "raspberrypi4-64",
        arch: "aarch64",
        service: "web",
    };

    #[test]
    fn replaces_every_known_variable() {
        let text = "FROM %%BALENA_ARCH%%/%%BALENA_MACHINE_NAME%%:%%RESIN_ARCH%%-%%RESIN_MACHINE_NAME%%\r\n\
                    LABEL %%BALENA_SERVICE_NAME%%=%%BALENA_RELEASE_HASH%%%%BALENA_APP_NAME%%";
        assert_eq!(
            expand(text, &VALUES).unwrap(),
            "FROM aarch64/raspberrypi4-64:aarch64-raspberrypi4-64\r\nLABEL web=10ca12e1ea5elocalapp"
        );
    }

    #[test]
    fn leaves_all_else_alone() {
        let text = "# %%NOT_KNOWN%%\n  # %%NOT_KNOWN%%\nRUN <%= process.exit() %> ${x} $(y) %%lower%% %%A%% %%_A%% %%A1%% %% %%%\n\n";
        assert_eq!(expand(text, &VALUES).unwrap(), text);
    }

    #[test]
    fn finds_a_variable_behind_a_percent_sign() {
        assert_eq!(expand("%%%BALENA_ARCH%%%", &VALUES).unwrap(), "%aarch64%");
    }

    #[test]
    fn names_an_unknown_variable_its_line_and_the_known_ones() {
        let error = expand(
            "FROM a\n# %%X_Y%%\nENV A=%%BALENA_ARCH%% B=%%FOO_BAR%%\n",
            &VALUES,
        )
        .unwrap_err();
        assert_eq!(
            error,
            UnknownVariable {
                variable: "FOO_BAR".into(),
                line: 3
            }
        );
        let text = error.to_string();
        assert!(
            text.contains("%%FOO_BAR%%") && text.contains("RESIN_MACHINE_NAME"),
            "{text}"
        );
    }

    #[test]
    fn every_known_variable_has_a_value() {
        for name in super::KNOWN {
            assert!(VALUES.get(name).is_some(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_fine(text in "[%A_B#\n a]{0,40}") {
            if let Ok(expanded) = expand(&text, &VALUES) {
                prop_assert_eq!(expanded, text);
            }
        }
    }
}
