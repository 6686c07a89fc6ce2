//! An error as it is told to another process: its sources become text.

use std::{error::Error, io};

use serde::{Deserialize, Serialize};

use crate::transport::{
    TransportError,
    ssh::{HostKeyRefusal, SshError},
};

/// [`SshError`] that can be sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Problem {
    Refuses {
        peer: String,
    },
    Unreachable {
        peer: String,
        source: String,
    },
    Timeout {
        peer: String,
        operation: String,
        seconds: u64,
    },
    Name {
        host: String,
        source: String,
    },
    Handshake {
        peer: String,
        source: String,
    },
    Old {
        peer: String,
        kind: String,
        theirs: Vec<String>,
    },
    HostKey {
        peer: String,
        algorithm: String,
        fingerprint: String,
        why: HostKeyRefusal,
    },
    Denied {
        peer: String,
        user: String,
        tried: Vec<String>,
        takes: Vec<String>,
    },
    Gone {
        peer: String,
        operation: String,
        source: String,
    },
    Full {
        peer: String,
        operation: String,
    },
    Refused {
        peer: String,
        operation: String,
        reason: String,
    },
}

/// An error and what is behind it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl From<SshError> for Problem {
    fn from(error: SshError) -> Self {
        match error {
            SshError::Transport(error) => error.into(),
            SshError::Name { host, source } => Self::Name {
                host,
                source: chain(&source),
            },
            SshError::Handshake { peer, source } => Self::Handshake {
                peer,
                source: chain(&*source),
            },
            SshError::Old { peer, kind, theirs } => Self::Old { peer, kind, theirs },
            SshError::HostKey {
                peer,
                algorithm,
                fingerprint,
                why,
            } => Self::HostKey {
                peer,
                algorithm,
                fingerprint,
                why,
            },
            SshError::Denied {
                peer,
                user,
                tried,
                takes,
            } => Self::Denied {
                peer,
                user,
                tried,
                takes,
            },
            SshError::Gone {
                peer,
                operation,
                source,
            } => Self::Gone {
                peer,
                operation,
                source: chain(&*source),
            },
            SshError::Full { peer, operation } => Self::Full { peer, operation },
            SshError::Refused {
                peer,
                operation,
                reason,
            } => Self::Refused {
                peer,
                operation,
                reason,
            },
        }
    }
}

impl From<TransportError> for Problem {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Refused { peer } => Self::Refuses { peer },
            TransportError::Unreachable { peer, source } => Self::Unreachable {
                peer,
                source: chain(&source),
            },
            TransportError::Timeout {
                peer,
                operation,
                seconds,
            } => Self::Timeout {
                peer,
                operation,
                seconds,
            },
            TransportError::Gone {
                peer,
                operation,
                source,
            } => Self::Gone {
                peer,
                operation,
                source: chain(&*source),
            },
            TransportError::BadAnswer {
                peer,
                operation,
                problem,
            } => Self::Refused {
                peer,
                operation,
                reason: problem,
            },
        }
    }
}

impl From<Problem> for SshError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Refuses { peer } => TransportError::Refused { peer }.into(),
            Problem::Unreachable { peer, source } => TransportError::Unreachable {
                peer,
                source: io::Error::other(source),
            }
            .into(),
            Problem::Timeout {
                peer,
                operation,
                seconds,
            } => TransportError::Timeout {
                peer,
                operation,
                seconds,
            }
            .into(),
            Problem::Name { host, source } => Self::Name {
                host,
                source: io::Error::other(source),
            },
            Problem::Handshake { peer, source } => Self::Handshake {
                peer,
                source: source.into(),
            },
            Problem::Old { peer, kind, theirs } => Self::Old { peer, kind, theirs },
            Problem::HostKey {
                peer,
                algorithm,
                fingerprint,
                why,
            } => Self::HostKey {
                peer,
                algorithm,
                fingerprint,
                why,
            },
            Problem::Denied {
                peer,
                user,
                tried,
                takes,
            } => Self::Denied {
                peer,
                user,
                tried,
                takes,
            },
            Problem::Gone {
                peer,
                operation,
                source,
            } => Self::Gone {
                peer,
                operation,
                source: source.into(),
            },
            Problem::Full { peer, operation } => Self::Full { peer, operation },
            Problem::Refused {
                peer,
                operation,
                reason,
            } => Self::Refused {
                peer,
                operation,
                reason,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a person would read.
    fn read(error: &SshError) -> String {
        chain(error)
    }

    #[test]
    fn an_error_reads_the_same_on_the_other_side() {
        let peer = || "kitchen (10.0.0.1:22222)".to_owned();
        let all = [
            SshError::Transport(TransportError::Unreachable {
                peer: peer(),
                source: io::Error::other("no route"),
            }),
            SshError::Transport(TransportError::Refused { peer: peer() }),
            SshError::Denied {
                peer: peer(),
                user: "root".to_owned(),
                tried: vec!["no key".to_owned()],
                takes: Vec::new(),
            },
            SshError::Gone {
                peer: peer(),
                operation: "authentication".to_owned(),
                source: Box::new(io::Error::other("it hung up")),
            },
            SshError::HostKey {
                peer: peer(),
                algorithm: "ssh-rsa".to_owned(),
                fingerprint: "SHA256:x".to_owned(),
                why: HostKeyRefusal::Changed {
                    known: "another".to_owned(),
                },
            },
        ];
        for error in all {
            let before = read(&error);
            let text = serde_json::to_string(&Problem::from(error)).unwrap();
            let problem: Problem = serde_json::from_str(&text).unwrap();
            assert_eq!(read(&problem.into()), before);
        }
    }
}
