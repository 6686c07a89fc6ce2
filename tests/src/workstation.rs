//! A workstation: a machine with a home of its own on which the built `os` runs.
//!
//! In: arguments. Out: exit code, standard output and standard error, or a running program that can be interrupted,
//! with or without a terminal. Nothing of the real user's home or environment is in sight.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::lan::{Address, Lan};
use crate::namespace::Namespace;
use crate::programs::built;
use crate::until::{PATIENCE, until};

/// A workstation.
#[derive(Debug)]
pub struct Workstation {
    /// The machine.
    pub machine: Namespace,
    /// Its place in the local network, when it is in one.
    pub address: Option<Address>,
    environment: Vec<(String, String)>,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; 128 + N after signal N.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Panics with all of the output unless the program has succeeded.
    #[track_caller]
    pub fn success(&self) {
        assert_eq!(self.code, 0, "it failed:\n{self}");
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "exit code: {code}\n----- stdout -----\n{stdout}\n----- stderr -----\n{stderr}"
        )
    }
}

impl Workstation {
    /// A workstation with an empty home; in a local network when one is given.
    pub fn new(lan: Option<&Lan>) -> Self {
        let machine = Namespace::new();
        let address = lan.map(|lan| lan.join(&machine));
        let home = machine.dir().join("home");
        fs_err::create_dir(&home).expect("a home");
        fs_err::create_dir(machine.dir().join("runtime")).expect("a runtime directory");
        Self {
            machine,
            address,
            environment: Vec::new(),
        }
    }

    /// The user's home directory.
    pub fn home(&self) -> PathBuf {
        self.machine.dir().join("home")
    }

    /// Sets a variable in the environment of everything that runs from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file of the user, with the directories above it, and returns its path.
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(path);
        fs_err::create_dir_all(path.parent().expect("a file in the home")).expect("directories");
        fs_err::write(&path, contents).expect("a file");
        path
    }

    /// Runs `os` to its end, in the home directory, without a terminal. Panics when it does not end.
    pub async fn os(&self, arguments: &[&str]) -> Output {
        self.start(arguments).output().await
    }

    /// Starts `os` in the home directory, without a terminal.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Self::run(self.command(&[]).arg(built("os")).args(arguments))
    }

    /// Starts another program in the home directory, without a terminal.
    pub fn start_program(&self, program: &[&str]) -> Running {
        Self::run(&mut self.command(program))
    }

    fn run(command: &mut Command) -> Running {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter");
        let stdout = Captured::reading(child.stdout.take().expect("standard output"));
        let stderr = Captured::reading(child.stderr.take().expect("standard error"));
        Running {
            child,
            stdout,
            stderr,
            terminal: None,
        }
    }

    /// Starts `os` in the home directory with a terminal of 80 columns; what it shows is its standard output.
    pub fn start_in_terminal(&self, arguments: &[&str]) -> Running {
        let os = built("os");
        let mut program = vec![os.to_str().expect("a path")];
        program.extend(arguments);
        self.start_program_in_terminal(&program)
    }

    /// Ends the oldest `os` that runs here as a service manager does, and insists until it is gone; first waits until its terminal has a mode, as
    /// `stty` writes it: `-icanon` while single keys are read, `-echo` while nothing that is typed is shown.
    pub async fn end_at_question(&self, mode: &str) {
        let script = "os=$(pgrep -xo os); until stty -a -F /proc/$os/fd/0 | grep -qw -- \"$1\"; do sleep 0.01; done; \
            while kill -TERM $os 2>/dev/null; do sleep 0.01; done";
        let ended = self.start_program(&["bash", "-c", script, "bash", mode]);
        ended.output().await.success();
    }

    /// Starts another program in the home directory, with such a terminal.
    pub fn start_program_in_terminal(&self, program: &[&str]) -> Running {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&controller).expect("a terminal");
        unlockpt(&controller).expect("a terminal");
        let size = rustix::termios::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&controller, size).expect("the terminal's size");
        // Else Ctrl-C throws away what was printed and not read yet; a test reads later than a person's terminal does.
        let mut modes = rustix::termios::tcgetattr(&controller).expect("the terminal's modes");
        modes.local_modes |= rustix::termios::LocalModes::NOFLSH;
        rustix::termios::tcsetattr(&controller, rustix::termios::OptionalActions::Now, &modes)
            .expect("the terminal's modes");
        let name = ptsname(&controller, Vec::new()).expect("the terminal's name");
        let name = Path::new(name.to_str().expect("the terminal's name")).to_owned();
        let line = || {
            let file = fs_err::OpenOptions::new()
                .read(true)
                .write(true)
                .open(&name)
                .expect("the terminal");
            Stdio::from(OwnedFd::from(file.into_parts().0))
        };
        // A session of its own, so that Ctrl-C reaches it as in a shell.
        let child = self
            .command(&["setsid", "--ctty", "--wait"])
            .args(program)
            .stdin(line())
            .stdout(line())
            .stderr(line())
            .spawn()
            .expect("nsenter");
        let controller = std::fs::File::from(controller);
        let stdout = Captured::reading(controller.try_clone().expect("the terminal twice"));
        Running {
            child,
            stdout,
            stderr: Captured::default(),
            terminal: Some(controller),
        }
    }

    /// A program, or what comes before it, with the user's environment.
    fn command(&self, program: &[&str]) -> Command {
        let mut command = self.machine.command("env");
        command.arg("--chdir").arg(self.home());
        let home = self.home();
        let set = |name: &str, value: &OsStr| {
            let mut pair = std::ffi::OsString::from(format!("{name}="));
            pair.push(value);
            pair
        };
        command.arg(set("HOME", home.as_os_str()));
        command.arg(set(
            "XDG_RUNTIME_DIR",
            self.machine.dir().join("runtime").as_os_str(),
        ));
        command
            .arg("TERM=xterm-256color")
            .arg("LANG=C.UTF-8")
            .arg("USER=root");
        for (name, value) in &self.environment {
            command.arg(set(name, OsStr::new(value)));
        }
        command.args(program);
        command
    }
}

/// `os`, running.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Captured,
    stderr: Captured,
    terminal: Option<std::fs::File>,
}

impl Running {
    /// Waits until standard output (or the terminal) holds `text`. Panics when it ends without.
    pub async fn shows(&self, text: &str) {
        self.prints(text, &self.stdout).await;
    }

    /// Waits until standard error holds `text`. Panics when it ends without.
    pub async fn says(&self, text: &str) {
        self.prints(text, &self.stderr).await;
    }

    async fn prints(&self, text: &str, captured: &Captured) {
        until(&format!("`os` prints `{text}`"), async || {
            // In this order: what it printed last is there when its end is known.
            let ended = captured.ended();
            let printed = captured.text().contains(text);
            assert!(
                printed || !ended,
                "`os` ended without `{text}`:\n----- stdout -----\n{}\n----- stderr -----\n{}",
                self.stdout.text(),
                self.stderr.text()
            );
            printed.then_some(())
        })
        .await;
    }

    /// What it has printed on standard output (or the terminal) so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed on standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Presses keys in its terminal; `\x03` is Ctrl-C.
    pub fn press(&mut self, keys: &str) {
        self.terminal
            .as_mut()
            .expect("a terminal")
            .write_all(keys.as_bytes())
            .expect("the terminal");
    }

    /// Waits until what is pressed is not shown. What is pressed between a question for a secret and that is thrown away.
    pub async fn hides(&self) {
        let terminal = self.terminal.as_ref().expect("a terminal");
        until("what is pressed is not shown", async || {
            let modes = rustix::termios::tcgetattr(terminal).expect("the terminal's modes");
            let is_shown = modes
                .local_modes
                .contains(rustix::termios::LocalModes::ECHO);
            (!is_shown).then_some(())
        })
        .await;
    }

    /// Gives its terminal another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = rustix::termios::Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let terminal = self.terminal.as_ref().expect("a terminal");
        rustix::termios::tcsetwinsize(terminal, size).expect("the terminal's size");
    }

    /// Waits for its end. Panics when it does not end.
    pub async fn output(mut self) -> Output {
        let start = std::time::Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                break status;
            }
            assert!(
                start.elapsed() < 2 * PATIENCE,
                "`os` does not end:\n{}\n{}",
                self.stdout.text(),
                self.stderr.text()
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        self.stdout.finish();
        self.stderr.finish();
        Output {
            code: code(status),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `nsenter` and what it entered for: the test gave up on both.
        for inner in crate::namespace::children(self.child.id()) {
            let inner = i32::try_from(inner)
                .ok()
                .and_then(rustix::process::Pid::from_raw);
            if let Some(inner) = inner {
                let _ = rustix::process::kill_process(inner, rustix::process::Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .expect("a code or a signal")
}

/// What a program prints, as it prints it.
#[derive(Debug, Default)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Captured {
    fn reading(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose other side is closed answers with an error, a pipe with nothing.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    /// Whether nothing more will come.
    fn ended(&self) -> bool {
        self.reader
            .as_ref()
            .is_none_or(std::thread::JoinHandle::is_finished)
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader");
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
            .into_owned()
    }
}
