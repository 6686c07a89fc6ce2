//! Shells of containers, and what they find.

use std::time::Duration;

use tokio::time::timeout;

use super::{Engine, EngineError, exec::ExecRequest};

/// How long a shell may take to say what it finds: a slow board loads it from a slow card.
const PATIENCE: Duration = Duration::from_secs(10);
/// Shells that a person would want, best first.
const SHELLS: [&str; 6] = [
    "/bin/bash",
    "/usr/bin/bash",
    "/bin/sh",
    "/usr/bin/sh",
    "/bin/ash",
    "/busybox/sh",
];

impl Engine {
    /// The best shell of a container, if it has one. Nothing is run for it.
    pub async fn shell(&self, container: &str) -> Result<Option<&'static str>, EngineError> {
        for shell in SHELLS {
            if self.has_file(container, shell).await? {
                return Ok(Some(shell));
            }
        }
        Ok(None)
    }

    /// A shell of a container that finds all of these programs. One that does not say so soon is done without.
    pub async fn shell_with(
        &self,
        container: &str,
        programs: &[&str],
    ) -> Result<Option<&'static str>, EngineError> {
        for shell in SHELLS {
            if self.has_file(container, shell).await?
                && self.finds(container, shell, programs).await
            {
                return Ok(Some(shell));
            }
        }
        Ok(None)
    }

    async fn finds(&self, container: &str, shell: &str, programs: &[&str]) -> bool {
        let script = format!(
            "for program in {}; do command -v $program >/dev/null || exit 1; done",
            programs.join(" ")
        );
        let request = ExecRequest {
            container: container.to_owned(),
            command: vec![shell.to_owned(), "-c".to_owned(), script],
            user: Some("0".to_owned()),
            ..ExecRequest::default()
        };
        let asked = async {
            let mut exec = self.exec(&request).await?;
            while exec.output.next().await?.is_some() {}
            Ok::<_, EngineError>(exec.handle.exit_code().await? == 0)
        };
        matches!(timeout(PATIENCE, asked).await, Ok(Ok(true)))
    }
}
