//! What follows when a device cannot be entered by SSH: pure.

use crate::transport::ssh::{HostKeyRefusal, SshError};

/// What is known of a device from before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// A host key of it is kept.
    pub(super) is_pinned: bool,
    /// It has never let us in: it refused the first time, and was reached without SSH since.
    pub(super) never_let_in: bool,
}

/// What is done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is reached as devices without SSH are.
    Plain(Reason),
    /// It is not reached: whoever stands in the way of SSH would get by it what SSH is there to keep from him.
    Stop,
    /// SSH's error is what there is to say, and no other way is better.
    Refuse,
}

/// Why a device is reached without SSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Nothing listens there, or nothing answers.
    Shut,
    /// It does not let us in.
    Denied,
    /// It shows a key that nobody could be asked about.
    Unknown,
    /// It does not come to terms with us.
    Unable,
}

impl Reason {
    /// The word of it in the file of devices that are reached plainly.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Shut => "shut",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
            Self::Unable => "unable",
        }
    }
}

/// What to do after this error.
pub(super) fn decide(error: &SshError, past: Past) -> Choice {
    let reason = match error {
        SshError::HostKey {
            why: HostKeyRefusal::Unknown,
            ..
        } => Reason::Unknown,
        // Who wants SSH to be stricter does not want to do without it.
        SshError::HostKey { .. } | SshError::Excluded { .. } => return Choice::Refuse,
        // The server has proven that it is the device's, and says no as it always did.
        SshError::Denied { .. } if past.never_let_in => return Choice::Plain(Reason::Denied),
        SshError::Denied { .. } => Reason::Denied,
        SshError::Transport(_) | SshError::Tunnel(_) | SshError::Name { .. } => Reason::Shut,
        SshError::Handshake { .. }
        | SshError::Old { .. }
        | SshError::Gone { .. }
        | SshError::Full { .. }
        | SshError::Refused { .. } => Reason::Unable,
    };
    if past.is_pinned {
        Choice::Stop
    } else {
        Choice::Plain(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportError;

    const NEW: Past = Past {
        is_pinned: false,
        never_let_in: false,
    };
    const PINNED: Past = Past {
        is_pinned: true,
        never_let_in: false,
    };

    fn shut() -> SshError {
        SshError::Transport(TransportError::Refused {
            peer: "x".to_owned(),
        })
    }

    fn denied() -> SshError {
        SshError::Denied {
            peer: "x".to_owned(),
            user: "root".to_owned(),
            tried: Vec::new(),
            takes: Vec::new(),
        }
    }

    fn host_key(why: HostKeyRefusal) -> SshError {
        SshError::HostKey {
            peer: "x".to_owned(),
            algorithm: "ssh-ed25519".to_owned(),
            fingerprint: "SHA256:x".to_owned(),
            why,
        }
    }

    fn handshake() -> SshError {
        SshError::Handshake {
            peer: "x".to_owned(),
            source: "it speaks something else".into(),
        }
    }

    #[test]
    fn a_device_that_is_not_known_is_reached_without_ssh() {
        assert_eq!(decide(&shut(), NEW), Choice::Plain(Reason::Shut));
        assert_eq!(decide(&denied(), NEW), Choice::Plain(Reason::Denied));
        assert_eq!(decide(&handshake(), NEW), Choice::Plain(Reason::Unable));
        let unknown = host_key(HostKeyRefusal::Unknown);
        assert_eq!(decide(&unknown, NEW), Choice::Plain(Reason::Unknown));
    }

    #[test]
    fn one_whose_key_is_kept_is_not() {
        for error in [shut(), denied(), handshake()] {
            assert_eq!(decide(&error, PINNED), Choice::Stop, "{error}");
        }
    }

    #[test]
    fn what_never_let_us_in_has_nothing_to_lose_unless_it_falls_silent() {
        let past = Past {
            is_pinned: true,
            never_let_in: true,
        };
        assert_eq!(decide(&denied(), past), Choice::Plain(Reason::Denied));
        for error in [shut(), handshake()] {
            assert_eq!(decide(&error, past), Choice::Stop, "{error}");
        }
    }

    #[test]
    fn a_stricter_configuration_does_not_lead_around_ssh() {
        let error = SshError::Excluded {
            peer: "x".to_owned(),
            kind: "cipher".to_owned(),
            theirs: Vec::new(),
        };
        for past in [NEW, PINNED] {
            assert_eq!(decide(&error, past), Choice::Refuse);
        }
    }

    #[test]
    fn a_refused_key_is_never_gone_around() {
        for past in [NEW, PINNED] {
            for why in [
                HostKeyRefusal::Declined,
                HostKeyRefusal::Strict,
                HostKeyRefusal::Changed {
                    known: String::new(),
                },
                HostKeyRefusal::Announced {
                    fingerprint: String::new(),
                },
                HostKeyRefusal::Revoked {
                    place: String::new(),
                },
                HostKeyRefusal::Unreadable {
                    problem: String::new(),
                },
            ] {
                let error = host_key(why);
                assert_eq!(decide(&error, past), Choice::Refuse, "{error}");
            }
        }
    }
}
