//! The container engine of this machine: which socket it has, and why it cannot be used.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use tokio::net::UnixStream;

use crate::transport::{Endpoint, Http, Limits, TransportError};

/// Why there is no engine to run containers with.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No socket of an engine is there.
    #[error("no container engine on this machine: {} is not there", tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or "))]
    Absent {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The engine's socket may not be used.
    #[error("no permission to use the container engine at {}", socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
    },
    /// There is a socket, and nobody listens.
    #[error("the container engine at {} does not run", socket.display())]
    Down {
        /// The socket.
        socket: PathBuf,
    },
    /// The variable names an engine that is not on this machine.
    #[error(
        "DOCKER_HOST is `{value}`: a simulated device needs an engine of this machine, by its unix socket"
    )]
    Elsewhere {
        /// Its value.
        value: String,
    },
    /// It answered, but not as an engine does.
    #[error("the container engine at {} does not answer as it should", socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// What happened.
        source: TransportError,
    },
}

/// Where an engine of this machine may listen: the place that `DOCKER_HOST` names, else the system's, else the user's own.
///
/// # Errors
/// [`EngineError::Elsewhere`].
fn candidates(variables: &BTreeMap<String, String>) -> Result<Vec<PathBuf>, EngineError> {
    let value = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    if let Some(host) = value(crate::env::DOCKER_HOST) {
        return match host.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(vec![PathBuf::from(path)]),
            _ => Err(EngineError::Elsewhere {
                value: host.clone(),
            }),
        };
    }
    let mut found = vec![PathBuf::from("/var/run/docker.sock")];
    found.extend(value("XDG_RUNTIME_DIR").map(|path| Path::new(path).join("docker.sock")));
    found.extend(value("HOME").map(|path| Path::new(path).join(".docker/run/docker.sock")));
    Ok(found)
}

/// Finds the engine of this machine: the first socket on which somebody answers.
///
/// # Errors
/// [`EngineError`]; of several sockets that cannot be used, the reason of the first one that is there.
pub async fn find(variables: &BTreeMap<String, String>) -> Result<PathBuf, EngineError> {
    let tried = candidates(variables)?;
    let mut first = None;
    for socket in &tried {
        match connect(socket).await {
            Ok(_) => return Ok(socket.clone()),
            Err(EngineError::Absent { .. }) => {}
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(EngineError::Absent { tried }))
}

/// Connects to an engine and asks whether it is there.
pub(super) async fn connect(socket: &Path) -> Result<Http, EngineError> {
    // Tried first, because only the plain error tells a missing permission from an engine that does not run.
    if let Err(error) = UnixStream::connect(socket).await {
        return Err(unusable(socket, error));
    }
    let http = Http::new("the engine", Endpoint::Unix(socket.to_path_buf()));
    let answer = |source| EngineError::Answer {
        socket: socket.to_path_buf(),
        source,
    };
    let pong = http
        .get("/_ping", Limits::default())
        .await
        .map_err(answer)?;
    if pong.status.is_success() {
        return Ok(http);
    }
    Err(answer(TransportError::BadAnswer {
        peer: http.peer(),
        operation: "GET /_ping".to_owned(),
        problem: format!("status {}", pong.status),
    }))
}

fn unusable(socket: &Path, error: io::Error) -> EngineError {
    let peer = socket.display().to_string();
    let socket = socket.to_path_buf();
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::Absent {
            tried: vec![socket],
        },
        io::ErrorKind::PermissionDenied => EngineError::Denied { socket },
        io::ErrorKind::ConnectionRefused => EngineError::Down { socket },
        _ => EngineError::Answer {
            socket,
            source: TransportError::Unreachable {
                peer,
                source: error,
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_variable_decides_alone() {
        let found = candidates(&variables(&[
            ("DOCKER_HOST", "unix:///x.sock"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
        ]));
        assert_eq!(found.unwrap(), [Path::new("/x.sock")]);
        for elsewhere in [
            "tcp://1.2.3.4:2375",
            "ssh://host",
            "unix://relative",
            "/x.sock",
        ] {
            let found = candidates(&variables(&[("DOCKER_HOST", elsewhere)]));
            assert!(
                matches!(found, Err(EngineError::Elsewhere { .. })),
                "{elsewhere}"
            );
        }
    }

    #[test]
    fn the_system_s_engine_comes_before_the_user_s() {
        let found = candidates(&variables(&[
            ("DOCKER_HOST", ""),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("HOME", "/h"),
        ]));
        assert_eq!(
            found.unwrap(),
            [
                Path::new("/var/run/docker.sock"),
                Path::new("/run/user/1/docker.sock"),
                Path::new("/h/.docker/run/docker.sock"),
            ]
        );
    }

    #[tokio::test]
    async fn each_reason_is_told_from_the_others() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("engine.sock");
        let host = format!("unix://{}", socket.display());
        let wanted = variables(&[("DOCKER_HOST", &host)]);
        assert!(matches!(
            find(&wanted).await,
            Err(EngineError::Absent { .. })
        ));

        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        drop(listener);
        assert!(matches!(find(&wanted).await, Err(EngineError::Down { .. })));

        let denied = unusable(&socket, io::ErrorKind::PermissionDenied.into());
        assert!(matches!(denied, EngineError::Denied { .. }));
    }
}
