//! OpenSSH's server of Debian on a machine of the tests, at the port of devices.
//!
//! In: a machine, further lines of its configuration. Out: a [`Sshd`] that lets root in with the keys that it was given.

use std::path::{Path, PathBuf};

use crate::{Namespace, Process, until};

/// Port of devices' SSH servers.
const PORT: u16 = 22222;
/// Lets bash leave out `~/.bashrc`, which is that of whoever runs the tests. Belongs into every `SetEnv`, since only the first one counts.
pub const NO_STARTUP: &str = "SHLVL=2";

/// A server that runs.
#[derive(Debug)]
pub struct Sshd {
    folder: PathBuf,
    /// The program.
    pub process: Process,
}

impl Sshd {
    /// Starts it with a new key of its own, on all addresses of the machine. `settings` come before ours, so they win.
    pub async fn start(machine: &Namespace, settings: &str) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = machine.dir().join(format!("sshd-{number}"));
        fs_err::create_dir(&folder).expect("a folder");
        let at = |name: &str| folder.join(name).display().to_string();
        machine.run("mkdir", &["-p", "/run/sshd"]);
        machine.run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &at("host")],
        );
        fs_err::write(folder.join("authorized_keys"), "").expect("a file");
        // SHLVL: a shell that is not the first one reads no file of the machine's own root.
        let config = format!(
            "{settings}\nPort {PORT}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n\
             SetEnv {NO_STARTUP}\n",
            at("host"),
            at("authorized_keys")
        );
        fs_err::write(folder.join("config"), config).expect("a file");
        let process = run(machine, &folder).await;
        Self { folder, process }
    }

    /// Ends it with all of its connections, as a machine does that is switched off.
    pub async fn cut(&self, machine: &Namespace) {
        machine.run("pkill", &["-KILL", "sshd"]);
        self.process.wait().await;
    }

    /// Starts it once more, with the key that it had.
    pub async fn start_again(&mut self, machine: &Namespace) {
        self.process = run(machine, &self.folder).await;
    }

    /// Ends it with all connections to it, as the end of a machine does.
    pub async fn stop(&self, machine: &Namespace) {
        self.process.terminate().await;
        // The processes of its connections go on without it; there need be none.
        let mut kill = machine.command("pkill");
        let _found = kill.args(["-KILL", "sshd"]).status().is_ok();
    }

    /// Lets the owner of a key in.
    pub fn authorize(&self, public: &Path) {
        let line = fs_err::read_to_string(public).expect("a public key");
        fs_err::write(self.folder.join("authorized_keys"), line).expect("a file");
    }

    /// File of the public half of its own key.
    pub fn public_key(&self) -> PathBuf {
        self.folder.join("host.pub")
    }

    /// Fingerprint of its own key.
    pub fn fingerprint(&self) -> String {
        let key = self.folder.join("host.pub");
        let told = std::process::Command::new("ssh-keygen")
            .arg("-lf")
            .arg(key)
            .output();
        let told = String::from_utf8(told.expect("ssh-keygen").stdout).expect("text");
        told.split(' ').nth(1).expect("a fingerprint").to_owned()
    }
}

async fn run(machine: &Namespace, folder: &Path) -> Process {
    let config = folder.join("config").display().to_string();
    let mut command = machine.command("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f", &config]);
    let process = Process::start("sshd", command, &folder.join("log")).await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], PORT));
    until("the SSH server listens", async || {
        machine.connect(address).is_ok().then_some(())
    })
    .await;
    process
}
