//! Who may enter: development mode, the SSH server's options and keys.
//!
//! In development mode root enters without a password, unless there are keys that can be used. An empty list of keys is none:
//! it would leave a device that nobody can enter. But who gives keys of which none can be used has asked for keys, and gets no open
//! device. In production mode keys are the only way.

use super::super::config::Config;
use super::super::plan::{Deed, Part};
use super::{CLOSED, ENGINE, OPEN, assignment, part};

/// What the SSH server is started with for whom a password, or none, is enough.
const SSH_OPEN: &str =
    "-o PermitRootLogin=yes -o PasswordAuthentication=yes -o PermitEmptyPasswords=yes";
/// And where only keys are.
const SSH_KEYS_ONLY: &str = "-o PermitRootLogin=prohibit-password -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o PermitEmptyPasswords=no";
/// What the engine is started with in development mode. That there is no TLS is said aloud: newer engines wait for a while where
/// it may have been forgotten.
const ENGINE_OPEN: &str = "-H tcp://0.0.0.0:2375 --tls=false";

pub(super) fn development(config: &Config) -> Part {
    let is_on = config.is_development;
    let arguments = is_on.then_some(ENGINE_OPEN);
    part("development", "developmentMode")
        .file(
            "run/os/engine.env",
            OPEN,
            assignment("BALENA_DEVELOPMENT_ARGS", arguments),
        )
        .file_if(is_on, "run/os/development", "")
        .unit(Deed::Restart, ENGINE)
        // Run, since it brings the consoles when it was not there before.
        .unit(Deed::Run, "development-features.target")
}

pub(super) fn ssh(config: &Config) -> Part {
    let is_open = config.is_development && config.ssh_keys.is_empty() && !config.is_ssh_closed;
    let options = if is_open { SSH_OPEN } else { SSH_KEYS_ONLY };
    let mut keys = config.ssh_keys.join("\n");
    if !keys.is_empty() {
        keys.push('\n');
    }
    part("ssh", "os.sshKeys, developmentMode")
        .file(
            "run/os/ssh.env",
            OPEN,
            assignment("SSHD_OPTS", Some(options)),
        )
        .file("run/os/ssh/authorized_keys", CLOSED, keys)
}
