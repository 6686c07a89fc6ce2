//! Light devices: the whole system, booted. See `os-build/virtual/light-device`, which does the work.
//!
//! In: config.json. Out: a [`LightDevice`] that is reached as a workstation beside it would reach it, by address, and looked
//! into as its own root. Booting takes seconds, so a test that has passed leaves its device to the next one, with the
//! configuration that it was booted with; whoever wants more of it than that (a restart, a reset, a full disk) says [`LightDevice::spend`].
//!
//! All devices of one test program are on one network, and end with the program, however it ends.

mod network;

use std::ffi::OsStr;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use self::network::{CONNECTING, beside, inside, light, namespace, network, output, scan, success};
use crate::programs::built;
use crate::until::until;
use crate::workstation::Output;

/// Devices that a test has left to the next.
static SPARE: Mutex<Vec<LightDevice>> = Mutex::new(Vec::new());

/// A booted device.
#[derive(Debug)]
pub struct LightDevice {
    name: String,
    address: Ipv4Addr,
    folder: PathBuf,
    uuid: String,
    is_spent: bool,
    data: Option<String>,
}

impl LightDevice {
    /// A device in development mode: one that another test has left, or a new one.
    pub fn development() -> Self {
        let left = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        left.unwrap_or_else(|| Self::boot(&json!({"developmentMode": true})))
    }

    /// A new device with this config.json, booted until everything has started.
    pub fn boot(config: &Value) -> Self {
        let device = Self::cold();
        device.write_config(config.to_string());
        device.start()
    }

    /// A device that has its partitions and was never started, for [`Self::start`].
    pub fn cold() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("device-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        success(light(&network().name).args(["make", &name]));
        let folder = success(light(&network().name).args(["folder", &name]));
        let address = success(light(&network().name).args(["address", &name]));
        Self {
            folder: PathBuf::from(folder.trim()),
            address: address.trim().parse().expect("an address"),
            name,
            uuid: String::new(),
            is_spent: false,
            data: None,
        }
    }

    /// Boots it. Panics with what has not started.
    #[must_use]
    pub fn start(mut self) -> Self {
        self.start_again();
        self
    }

    /// Boots it after [`Self::stop`].
    pub fn start_again(&mut self) {
        let started = self.try_start();
        started.success();
        assert!(
            started.stderr.is_empty(),
            "not everything has started:\n{started}\n{}",
            self.try_run(&["sh", "-c", "systemctl --failed --plain --no-legend | cut -d' ' -f1 | xargs systemctl status --no-pager"])
        );
        let uuid = self.config()["uuid"].as_str().map(str::to_owned);
        self.uuid = uuid.unwrap_or_default();
    }

    /// Boots it, perhaps with parts that do not start.
    pub fn try_start(&self) -> Output {
        let mut start = light(&network().name);
        start
            .args(["start", &self.name, "--agent"])
            .arg(built("os-agent"));
        if let Some(size) = &self.data {
            start.args(["--data", size]);
        }
        output(&mut start)
    }

    /// Gives it, from its next start on, a data partition in memory of this size (`160M`), which does not outlast a restart.
    pub fn set_data(&mut self, size: &str) {
        self.is_spent = true;
        self.data = Some(size.to_owned());
    }

    /// Shuts it down. Its partitions stay.
    pub fn stop(&mut self) {
        self.is_spent = true;
        success(light(&network().name).args(["stop", &self.name]));
    }

    /// Ends it as a cut of power would.
    pub fn cut_power(&mut self) {
        self.is_spent = true;
        success(light(&network().name).args(["kill", &self.name]));
    }

    /// Says that it will not do for another test.
    pub fn spend(&mut self) {
        self.is_spent = true;
    }

    /// Its address in the devices' network.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its uuid.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The folder that stands in for a partition: `boot`, `state` or `data`.
    pub fn partition(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// config.json as it stands on the boot partition.
    pub fn config(&self) -> Value {
        let text = fs_err::read_to_string(self.partition("boot").join("config.json"));
        let text = text.expect("config.json");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("config.json: {error}: {text}"))
    }

    /// Changes config.json as somebody on the device would: what follows is the device's own doing.
    pub fn configure(&self, change: impl FnOnce(&mut Value)) {
        let mut config = self.config();
        change(&mut config);
        self.write_config(config.to_string());
    }

    /// Puts any bytes in the place of config.json, at once.
    pub fn write_config(&self, bytes: impl AsRef<[u8]>) {
        let file = self.partition("boot").join("config.json");
        let new = file.with_extension("written");
        fs_err::write(&new, bytes).expect("a new config.json");
        fs_err::rename(new, file).expect("config.json");
    }

    /// What the device says of its configuration: `/run/os/configure.json`.
    pub fn standing(&self) -> Value {
        let text = self.run(&["cat", "/run/os/configure.json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs a program on the device as root; returns what it printed. Panics when it fails.
    pub fn run(&self, program: &[&str]) -> String {
        let output = self.try_run(program);
        assert_eq!(output.code, 0, "{program:?} on {}:\n{output}", self.name);
        output.stdout
    }

    /// Runs a program on the device as root.
    pub fn try_run(&self, program: &[&str]) -> Output {
        output(
            light(&network().name)
                .args(["shell", &self.name])
                .args(program),
        )
    }

    /// Runs a script on the device as root; returns what it printed, without the end of the last line.
    pub fn sh(&self, script: &str) -> String {
        self.run(&["sh", "-euc", script]).trim_end().to_owned()
    }

    /// Whether a script on the device succeeds.
    pub fn holds(&self, script: &str) -> bool {
        self.try_run(&["sh", "-euc", script]).code == 0
    }

    /// Waits until a script on the device succeeds.
    pub async fn until(&self, what: &str, script: &str) {
        until(what, async || self.holds(script).then_some(())).await;
    }

    /// Debian's `ssh` beside the device, with the arguments of the reference client and `options` before the host.
    pub fn ssh(&self, options: &[&str], command: &[&str]) -> Output {
        let mut ssh = beside(OsStr::new("ssh"));
        ssh.env("HOME", "/nonexistent");
        ssh.args(["-n", "-t", "-p", "22222", "-o", "LogLevel=ERROR"]);
        ssh.args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ]);
        // It would ask a person for a password.
        ssh.args(["-o", "BatchMode=yes"]);
        ssh.args(options);
        ssh.arg(format!("root@{}", self.address)).args(command);
        output(&mut ssh)
    }

    /// Whether SSH lets in with these options.
    pub fn lets_in(&self, options: &[&str]) -> bool {
        self.ssh(options, &["exit 0"]).code == 0
    }

    /// The built `os`, or another program, beside the device, with a home of its own.
    pub fn beside(&self, program: impl AsRef<OsStr>, home: &Path) -> Command {
        let mut command = beside(program.as_ref());
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home);
        command
    }

    /// Runs a command made by [`Self::beside`] to its end.
    pub fn output(&self, command: &mut Command) -> Output {
        output(command)
    }

    /// Whether an SSH server greets whoever connects. False, too, while there is no network yet.
    pub fn answers_ssh(&self) -> bool {
        let to = SocketAddr::from((self.address, 22222));
        Path::new(&namespace()).exists()
            && inside(|| {
                let mut greeting = [0; 4];
                TcpStream::connect_timeout(&to, CONNECTING)
                    .and_then(|mut stream| stream.read_exact(&mut greeting))
                    .is_ok_and(|()| greeting == *b"SSH-")
            })
    }

    /// Whether it accepts a TCP connection.
    pub fn accepts(&self, port: u16) -> bool {
        let to = SocketAddr::from((self.address, port));
        inside(|| TcpStream::connect_timeout(&to, CONNECTING).is_ok())
    }

    /// Whether it accepts a TCP connection by its link-local address.
    pub fn accepts_v6(&self, port: u16) -> bool {
        let mut to = self.link_local();
        to.set_port(port);
        inside(|| TcpStream::connect_timeout(&to, CONNECTING).is_ok())
    }

    /// Calls `work` on a thread in the devices' network: sockets made there stay there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(work)
    }

    /// One HTTP request by TCP to the device; returns the answer's body. Panics unless it is a success.
    pub fn http(&self, port: u16, path: &str) -> String {
        let url = format!("http://{}:{port}{path}", self.address);
        success(beside(OsStr::new("curl")).args([
            "--silent",
            "--show-error",
            "--fail",
            "--max-time",
            "30",
            &url,
        ]))
    }

    /// All TCP ports that accept a connection, by its address in the fourth or sixth version.
    pub fn open_ports(&self, is_v6: bool) -> Vec<u16> {
        let to = if is_v6 {
            self.link_local()
        } else {
            SocketAddr::from((self.address, 0))
        };
        scan(to)
    }

    /// Its link-local address, with the devices' bridge as the way there.
    fn link_local(&self) -> SocketAddr {
        let text = self.sh("ip -6 -o address show dev eth0 scope link");
        let address = text.split_whitespace().find_map(|word| {
            let address = word.split('/').next()?.parse::<IpAddr>().ok()?;
            if let IpAddr::V6(address) = address {
                Some(address)
            } else {
                None
            }
        });
        let bridge = success(beside(OsStr::new("ip")).args(["-o", "link", "show", "dev", "osbr0"]));
        let index = bridge
            .split(':')
            .next()
            .and_then(|index| index.trim().parse().ok());
        let address = address.unwrap_or_else(|| panic!("no link-local address: {text}"));
        SocketAddr::V6(SocketAddrV6::new(
            address,
            0,
            0,
            index.expect("the bridge's index"),
        ))
    }

    /// Gives the device the configuration that a new one has.
    fn restore(&self) {
        let config = json!({"developmentMode": true, "uuid": self.uuid});
        self.write_config(config.to_string());
        self.run(&["os-agent", "configure"]);
        // For whoever gets the device next.
        self.settle();
    }

    /// Waits until what is being started, restarted or stopped is so.
    pub fn settle(&self) {
        let settled = "for _ in $(seq 600); do [ -n \"$(systemctl list-jobs --no-legend)\" ] || exit 0; sleep 0.05; done; exit 1";
        self.sh(settled);
    }
}

impl Drop for LightDevice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = self.try_run(&[
                "journalctl",
                "--boot",
                "--no-pager",
                "--priority=notice",
                "--lines=40",
            ]);
            println!(
                "---- end of the journal of {}\n{}",
                self.name, journal.stdout
            );
        }
        if self.is_spent || std::thread::panicking() {
            let _ = output(light(&network().name).args(["remove", &self.name]));
            return;
        }
        self.restore();
        let left = Self {
            name: std::mem::take(&mut self.name),
            address: self.address,
            folder: std::mem::take(&mut self.folder),
            uuid: std::mem::take(&mut self.uuid),
            is_spent: false,
            data: None,
        };
        SPARE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(left);
    }
}
