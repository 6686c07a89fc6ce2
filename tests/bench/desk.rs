//! Programs on a workstation of the tests, timed from their start.
//!
//! They are started from a thread that is in the workstation's network: nothing but the program itself is in the time.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::until::PATIENCE;
use testkit::{
    Namespace, Sshd, Workstation,
    programs::{built, named},
};

/// How often a page is asked for. The time of an answer is known no better than this.
const GLANCE: Duration = Duration::from_millis(2);

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) took: Duration,
    pub(crate) stdout: String,
}

/// A program as the user of a workstation starts it, in the home directory.
pub(crate) fn command(workstation: &Workstation, program: impl AsRef<OsStr>) -> Command {
    let home = workstation.home();
    let mut command = Command::new(program);
    command
        .current_dir(&home)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", &home)
        .env("XDG_RUNTIME_DIR", workstation.machine.dir().join("runtime"))
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null());
    command
}

/// An SSH server on the workstation itself, which lets in the key `key` of its home.
pub(crate) async fn server_for_key(workstation: &Workstation) -> Sshd {
    let server = Sshd::start(&workstation.machine, "").await;
    let key = workstation.home().join("key");
    let file = key.display().to_string();
    workstation.machine.run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", &file],
    );
    server.authorize(&key.with_extension("pub"));
    server
}

/// `os` with arguments.
pub(crate) fn os(workstation: &Workstation, arguments: &[&str]) -> Command {
    let mut command = command(workstation, built("os"));
    command.args(arguments);
    command
}

/// The reference client with arguments, where `tests/peer/run` has installed it.
pub(crate) fn reference(workstation: &Workstation, arguments: &[&str]) -> Option<Command> {
    let mut command = command(workstation, named("PEER_NODE")?);
    command.arg(named("PEER_CLIENT")?).args(arguments);
    Some(command)
}

/// Runs a program to its end. Panics with what it printed when it fails.
pub(crate) fn timed(machine: &Namespace, command: &mut Command) -> Finished {
    let finished = ended(machine, command);
    assert!(finished.0, "`{command:?}` failed:\n{}", finished.1.stdout);
    finished.1
}

/// Runs a program that must fail to its end.
pub(crate) fn timed_failure(machine: &Namespace, command: &mut Command) -> Finished {
    let finished = ended(machine, command);
    assert!(
        !finished.0,
        "`{command:?}` succeeded:\n{}",
        finished.1.stdout
    );
    finished.1
}

fn ended(machine: &Namespace, command: &mut Command) -> (bool, Finished) {
    machine.inside(|| {
        let start = Instant::now();
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let took = start.elapsed();
        let mut stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            stdout.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        (output.status.success(), Finished { took, stdout })
    })
}

/// Runs a program and looks at every line of its standard output as it comes, until `enough` says so or it has ended.
pub(crate) fn lines(
    machine: &Namespace,
    command: &mut Command,
    mut enough: impl FnMut(Duration, &str) -> bool + Send,
) {
    machine.inside(|| {
        let start = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = child.stdout.take().expect("standard output");
        for line in BufReader::new(stdout).lines() {
            if enough(start.elapsed(), &line.expect("a line")) {
                break;
            }
        }
        let _ = child.kill();
        child.wait().expect("its end");
    });
}

/// Runs a program to its end and watches a page meanwhile: when the program had ended, and when the page held `marker`.
pub(crate) fn until_answers(
    machine: &Namespace,
    page: SocketAddr,
    marker: &str,
    command: &mut Command,
) -> (Duration, Duration) {
    let failed = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            machine.inside(|| {
                while !glance(page).is_some_and(|answer| answer.contains(marker)) {
                    assert!(!failed.load(Ordering::Relaxed), "the program has failed");
                    assert!(
                        start.elapsed() < 2 * PATIENCE,
                        "{page} does not say {marker}"
                    );
                    pause(GLANCE);
                }
                start.elapsed()
            })
        });
        let (success, finished) = ended(machine, command);
        failed.store(!success, Ordering::Relaxed);
        assert!(success, "`{command:?}` failed:\n{}", finished.stdout);
        (finished.took, watch.join().expect("the watch"))
    })
}

/// A connection to a service of the device, as soon as it takes one: its script may still be on its way to that.
pub(crate) fn connected(machine: &Namespace, to: SocketAddr) -> TcpStream {
    let start = Instant::now();
    loop {
        match machine.inside(|| TcpStream::connect(to)) {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{to}: {error}"),
        }
        pause(GLANCE);
    }
}

fn glance(page: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&page, Duration::from_millis(200)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .ok()?;
    stream
        .write_all(b"GET /index.html HTTP/1.0\r\nHost: device\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A line of a shell, which fails where one of its programs does.
pub(crate) fn shell(workstation: &Workstation, line: &str) -> Command {
    let mut shell = command(workstation, "bash");
    shell.args(["-o", "pipefail", "-c", line]);
    shell
}

/// What the kernel counted for a program and its children.
#[derive(Debug)]
pub(crate) struct Used {
    /// The most memory that was resident, in MiB.
    pub(crate) memory: f64,
    /// What went to file systems, in KiB.
    pub(crate) written: f64,
}

/// Runs a program once more, for the most memory that it had: in MiB, its children's included.
pub(crate) fn peak_memory(workstation: &Workstation, of: &Command) -> f64 {
    used(workstation, of).memory
}

/// Runs a program once more, for what it uses.
pub(crate) fn used(workstation: &Workstation, of: &Command) -> Used {
    let told: PathBuf = workstation.machine.dir().join("used");
    let mut command = Command::new("/usr/bin/time");
    command
        .args(["-f", "%M %O", "-o"])
        .arg(&told)
        .arg(of.get_program())
        .args(of.get_args())
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in of.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if let Some(dir) = of.get_current_dir() {
        command.current_dir(dir);
    }
    timed(&workstation.machine, &mut command);
    let told = fs_err::read_to_string(&told).expect("what it used");
    let numbers: Vec<f64> = told
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let [kibibytes, blocks] = numbers[..] else {
        panic!("`time` says {told}");
    };
    Used {
        memory: kibibytes / 1024.0,
        // Of 512 bytes.
        written: blocks / 2.0,
    }
}

/// Lets time pass: between glances at what tells nothing by itself, and where a figure is about rest.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured from outside announces itself by no event"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
