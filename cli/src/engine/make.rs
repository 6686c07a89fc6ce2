//! What kind of engine it is.

use serde::Deserialize;

use super::{Engine, EngineError};
use crate::transport::Limits;

/// How balenaEngine is spelt, and how it once was.
const SPELLINGS: [&str; 2] = ["balena", "balaena"];

/// An engine's make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Make {
    /// Name and version, such as `Docker 20.10.24`.
    pub name: String,
    /// Whether a build may mount folders of the engine's host (`volumes`): an extension of balenaEngine. Others overlook it silently.
    pub mounts_in_builds: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    engine: String,
    version: String,
    platform: Named,
    components: Option<Vec<Named>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Named {
    name: String,
}

impl Engine {
    /// Asks the engine what it is.
    pub async fn make(&self) -> Result<Make, EngineError> {
        let operation = "GET /version";
        let answer = self.http().get("/version", Limits::default()).await?;
        self.succeeded(operation, &answer)?;
        let answer: Answer = self.read(operation, &answer.body)?;
        Ok(answer.make())
    }
}

impl Answer {
    fn make(self) -> Make {
        let components = self.components.iter().flatten();
        let names = [&self.engine, &self.platform.name]
            .into_iter()
            .chain(components.map(|component| &component.name));
        let balena = names.into_iter().any(|name| {
            let name = name.to_lowercase();
            SPELLINGS.iter().any(|spelling| name.contains(spelling))
        });
        let name = match (balena, self.platform.name.as_str()) {
            (true, _) => "balenaEngine",
            (false, "") => "Docker",
            (false, name) => name,
        };
        Make {
            name: format!("{name} {}", self.version).trim().to_owned(),
            mounts_in_builds: balena,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_balena_engine_mounts_in_builds() {
        for (answer, name, mounts) in [
            (
                r#"{"Version":"20.10.24+dfsg1","Platform":{"Name":""},"Components":[{"Name":"Engine","Version":"20"}]}"#,
                "Docker 20.10.24+dfsg1",
                false,
            ),
            (
                r#"{"Version":"28.2.2","Platform":{"Name":"Docker Engine - Community"},"Components":null}"#,
                "Docker Engine - Community 28.2.2",
                false,
            ),
            (
                r#"{"Engine":"balena-engine","Version":"20.10.43"}"#,
                "balenaEngine 20.10.43",
                true,
            ),
            (
                r#"{"Engine":"balaena","Version":"17.06"}"#,
                "balenaEngine 17.06",
                true,
            ),
            (
                r#"{"Components":[{"Name":"Balena Engine"}]}"#,
                "balenaEngine",
                true,
            ),
            ("{}", "Docker", false),
        ] {
            let version: Answer = serde_json::from_str(answer).unwrap();
            let make = Make {
                name: name.to_owned(),
                mounts_in_builds: mounts,
            };
            assert_eq!(version.make(), make, "{answer}");
        }
    }
}
