//! A real OpenSSH server on a machine of the tests, as a device has one.
//!
//! In: a machine, and the kinds of host keys that it has. Out: an [`OpenSsh`] on port 22222 that takes root with the key of a
//! workstation.

use crate::namespace::Namespace;
use crate::process::Process;
use crate::until::until;

/// A running server.
#[derive(Debug)]
pub struct OpenSsh {
    process: Process,
}

impl OpenSsh {
    /// Starts a server with new host keys of these kinds (`ed25519`, `rsa`, …), which lets in who has the key of `authorized`, the text of
    /// a `.pub` file; returns when it listens.
    pub async fn start(machine: &Namespace, kinds: &[&str], authorized: &str) -> Self {
        let dir = machine.dir().join("sshd");
        if dir.exists() {
            fs_err::remove_dir_all(&dir).expect("the keys of before");
        }
        fs_err::create_dir_all(&dir).expect("a directory");
        fs_err::write(dir.join("authorized_keys"), authorized).expect("keys that are let in");
        let place = dir.to_str().expect("a path");
        let mut settings = format!(
            "Port 22222\nPermitRootLogin prohibit-password\nAuthorizedKeysFile {place}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\nMaxStartups 200\n"
        );
        for kind in kinds {
            let key = format!("{place}/host_{kind}");
            machine.run("ssh-keygen", &["-q", "-t", kind, "-N", "", "-f", &key]);
            settings += "HostKey ";
            settings += &key;
            settings.push('\n');
        }
        fs_err::write(dir.join("config"), settings).expect("its settings");
        // Where it confines itself to.
        machine.run("mkdir", &["-p", "/run/sshd"]);
        let mut command = machine.command("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(dir.join("config"));
        let process = Process::start("sshd", command, &dir.join("log")).await;
        let log = || process.log().contains("Server listening").then_some(());
        until("the SSH server listens", async || log()).await;
        Self { process }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it.
    pub async fn stop(&self) {
        self.process.terminate().await;
    }
}
