//! The network that the devices of one test program are on.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::programs::built;
use crate::workstation::Output;

/// How long one connection of a scan may take: the devices are on this machine.
pub(super) const CONNECTING: Duration = Duration::from_secs(2);

/// The network of this program's devices.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) name: String,
    /// Removes the devices when its standard input ends, as it does with this program.
    _keeper: Mutex<Child>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .join("os-build/virtual/light-device")
}

/// Where packages and devices are kept: below the folder of all builds.
fn target_folder() -> PathBuf {
    let program = built("os-agent");
    let above = program.parent().and_then(Path::parent);
    above.expect("target/<profile>/os-agent").to_owned()
}

pub(super) fn light(network: &str) -> Command {
    let mut command = Command::new(script());
    command
        .env("OS_LIGHT_NETWORK", network)
        .env("CARGO_TARGET_DIR", target_folder());
    command
}

pub(super) fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let name = format!("os-test-{}", std::process::id());
        let mut keeper = Command::new("sh");
        let keeper = keeper
            .args(["-c", "cat >/dev/null; exec \"$0\" clear"])
            .arg(script())
            .env("OS_LIGHT_NETWORK", &name)
            .env("CARGO_TARGET_DIR", target_folder())
            // Ctrl-C in the terminal of the tests must not end the one that cleans up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        Network {
            name,
            _keeper: Mutex::new(keeper),
        }
    })
}

/// Runs a command to its end.
pub(super) fn output(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(super) fn success(command: &mut Command) -> String {
    let output = output(command);
    assert_eq!(output.code, 0, "{command:?}:\n{output}");
    output.stdout
}

pub(super) fn namespace() -> String {
    format!("/run/netns/{}", network().name)
}

/// A program in the devices' network.
pub(super) fn beside(program: &OsStr) -> Command {
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={}", namespace()))
        .arg("--")
        .arg(program);
    command
}

/// Calls `work` on a thread in the devices' network.
pub(super) fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            enter().expect("to enter the devices' network");
            work()
        });
        worker.join().expect("the work in the devices' network")
    })
}

/// Moves this thread there. The first device makes the network, whose file is there for a moment before it is one.
fn enter() -> std::io::Result<()> {
    let end = Instant::now() + CONNECTING;
    loop {
        let file = fs_err::File::open(namespace())?;
        match move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)) {
            Err(Errno::INVAL) if Instant::now() < end => std::thread::yield_now(),
            entered => return Ok(entered?),
        }
    }
}

/// Every port there is, in a few threads.
pub(super) fn scan(to: SocketAddr) -> Vec<u16> {
    const PART: u16 = 8192;
    let scan_part = |part: u16| {
        inside(move || {
            let first = part * PART;
            let ports = (first..=first + (PART - 1)).filter(|port| *port != 0);
            let is_open = |port: &u16| {
                let mut to = to;
                to.set_port(*port);
                TcpStream::connect_timeout(&to, CONNECTING).is_ok()
            };
            ports.filter(is_open).collect::<Vec<_>>()
        })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|part| scope.spawn(move || scan_part(part)))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a part of the scan"))
            .collect()
    })
}
