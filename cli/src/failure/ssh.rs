//! SSH connections that do not come about, or break.

use super::{Failure, Kind};
use crate::transport::{
    TransportError,
    ssh::{HostKeyRefusal, SshError},
};

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        let failure = Self::from_error(Kind::Device, &error);
        match &error {
            SshError::Transport(TransportError::Refused { .. }) => {
                failure.hint("the address answers, but no SSH server listens there; --port names another port")
            }
            SshError::Transport(_) | SshError::Name { .. } => failure.hint("is the device on, and in the same network?"),
            SshError::Tunnel(error) => super::cloud::unopened(failure, error),
            SshError::Old { .. } => failure.lasting().hint("OSCLI_SSH_OLD=1 before the command allows what is not safe any more; update the device, if you can"),
            SshError::Excluded { .. } => failure.lasting().hint("`ssh -G` shows what the files of the SSH configuration say of a host"),
            SshError::HostKey { why, .. } => refused(failure.lasting(), why),
            SshError::Denied { .. } => failure
                .hint("--identity FILE names a key, --user an account; `ssh-add -l` lists what the agent has")
                .hint("a device in production mode takes the keys of os.sshKeys in its config.json"),
            SshError::Gone { operation, .. } if operation == "authentication" => {
                failure.hint("too many keys may have been tried: --identity FILE shows that one only")
            }
            SshError::Gone { .. } => failure.hint("has the device lost its network or its power?"),
            SshError::Full { .. } => failure.hint("MaxSessions in the settings of the device's SSH server says how many"),
            SshError::Handshake { .. } | SshError::Refused { .. } => failure,
        }
    }
}

fn refused(failure: Failure, why: &HostKeyRefusal) -> Failure {
    match why {
        HostKeyRefusal::Unknown => failure
            .hint("compare the fingerprint with that of the device, then run this in a terminal, or with --accept-host-key"),
        HostKeyRefusal::Strict => failure
            .hint("compare the fingerprint with that of the device; with `StrictHostKeyChecking ask` for it in ~/.ssh/config it is asked about"),
        HostKeyRefusal::Announced { .. } => failure
            .hint("somebody else may answer in the place of the device, or announce itself by its name; nothing was sent to it")
            .hint("`os scan` asks the network anew; compare both fingerprints with that of the device"),
        HostKeyRefusal::Declined => failure.hint("nothing was sent to it"),
        HostKeyRefusal::Changed { .. } => failure
            .hint("somebody may sit between you and the device; nothing was sent to it")
            .hint("after the device was flashed anew: `os ssh-forget DEVICE`, and compare the new fingerprint with the device's"),
        HostKeyRefusal::Revoked { .. } | HostKeyRefusal::Unreadable { .. } => failure,
    }
}
