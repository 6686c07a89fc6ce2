//! A machine of its own for a test: its network, its mounts (`/run`, `/etc`), its processes.
//!
//! In: nothing. Out: a [`Namespace`] in which programs run and sockets are opened. It is held by a process that ends with
//! the test, however the test ends; nothing is registered with the host (no named namespace, no interface, no mount).

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::spare;

/// Where the directories of the machines lie: a real disk, because engines put their layers there.
const ROOT: &str = "/var/tmp";
/// Directory and control group of a machine: this, the test's process id, a number.
const PREFIX: &str = "os-test-";

/// A machine of its own. Dropping it ends all its processes and removes its directory.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    dir: PathBuf,
    init: u32,
    /// Waits inside for the end of the machine.
    keeper: u32,
    /// `None` when another test has the machine.
    holder: Mutex<Option<Child>>,
}

impl Namespace {
    /// Starts an empty machine: nothing runs on it, and it has no network but loopback.
    ///
    /// Panics when this machine does not allow it (root is needed).
    pub fn new() -> Self {
        static LEFTOVERS: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        LEFTOVERS.call_once(remove_leftovers);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let dir = Path::new(ROOT).join(&name);
        fs_err::create_dir(&dir).expect("a directory for the machine");

        let mut holder = Command::new("sh")
            .args(["-c", include_str!("hold-namespaces.sh"), "hold-namespaces"])
            .arg(&dir)
            .arg(&name)
            // Ctrl-C in the terminal of the tests must not end the one that cleans up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("the holder's standard output");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a line from the holder");
        assert_eq!(
            line, "ready\n",
            "no namespaces here (their error is printed above): the tests need root and tini, see tests/run"
        );
        // sh -> unshare -> tini
        let unshare = only_child(holder.id());
        let init = only_child(unshare);
        Self {
            name,
            dir,
            init,
            keeper: only_child(init),
            holder: Mutex::new(Some(holder)),
        }
    }

    /// A name that no other machine has; also that of its control group.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A directory for this machine's files, at the same path inside and outside. Removed with the machine.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process that is pid 1 inside, as seen from outside.
    pub fn init(&self) -> u32 {
        self.init
    }

    /// What holds the machine, as seen from outside.
    pub(crate) fn own_processes(&self) -> Vec<u32> {
        let mut own = vec![self.init, self.keeper];
        own.extend(children(self.keeper));
        own
    }

    /// A command that runs `program` on this machine, in its directory, with PATH as its whole environment.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &self.init.to_string(),
                "--net",
                "--mount",
                "--pid",
                "--",
            ])
            .args(["env", "--chdir"])
            .arg(&self.dir)
            .arg(program)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            );
        command
    }

    /// Runs a program on this machine to its end and returns what it printed. Panics when it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("nsenter");
        assert!(
            output.status.success(),
            "`{program} {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Calls `work` on a thread that is in this machine's network: sockets made there stay there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        Self::inside_of(self.init, work)
    }

    fn inside_of<T: Send>(init: u32, work: impl FnOnce() -> T + Send) -> T {
        let network =
            fs_err::File::open(format!("/proc/{init}/ns/net")).expect("the machine's network");
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
                        .expect("to enter the machine's network");
                    work()
                })
                .join()
                .expect("the work on the machine")
        })
    }

    /// A TCP connection from this machine.
    pub fn connect(&self, to: SocketAddr) -> std::io::Result<tokio::net::TcpStream> {
        Self::connect_in(self.init, to)
    }

    /// The same from the machine of which this is pid 1, as seen from outside.
    pub(crate) fn connect_in(init: u32, to: SocketAddr) -> std::io::Result<tokio::net::TcpStream> {
        let stream = Self::inside_of(init, || TcpStream::connect(to))?;
        stream.set_nonblocking(true)?;
        tokio::net::TcpStream::from_std(stream)
    }

    /// A TCP listener on this machine.
    pub fn listen(&self, at: SocketAddr) -> std::io::Result<tokio::net::TcpListener> {
        let listener = self.inside(|| TcpListener::bind(at))?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let holder = self
            .holder
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(mut holder) = holder.take() else {
            return;
        };
        if let Some(engine) = spare::left(&self.dir)
            && !std::thread::panicking()
        {
            let machine = Self {
                name: std::mem::take(&mut self.name),
                dir: std::mem::take(&mut self.dir),
                init: self.init,
                keeper: self.keeper,
                holder: Mutex::new(Some(holder)),
            };
            spare::keep(machine, engine);
            return;
        }
        drop(holder.stdin.take());
        // A failure here would hide the one that ended the test.
        let _ = holder.wait();
    }
}

/// The children of a process, as seen from here.
pub(crate) fn children(of: u32) -> Vec<u32> {
    let parent = of.to_string();
    let processes = fs_err::read_dir("/proc").expect("/proc");
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            // "pid (name) state ppid ...": the name may hold anything, so read from the last parenthesis.
            fs_err::read_to_string(format!("/proc/{pid}/stat"))
                .ok()
                .and_then(|stat| Some(stat.rsplit_once(") ")?.1.split(' ').nth(1)? == parent))
                .unwrap_or(false)
        })
        .collect()
}

fn only_child(of: u32) -> u32 {
    match children(of)[..] {
        [child] => child,
        ref other => panic!("process {of} has children {other:?} instead of one"),
    }
}

/// Removes the directories of tests whose machine was switched off under them.
fn remove_leftovers() {
    let entries = fs_err::read_dir(ROOT).expect("the directory for temporary files");
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| {
            name.strip_prefix(PREFIX)?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs_err::remove_dir_all(entry.path());
        }
    }
}
