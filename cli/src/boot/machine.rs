//! The process of a machine.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::mpsc,
};

use super::{
    Arch, BootError, Event, Hardware, Starts,
    firmware::{self, Firmware},
    power,
    words::words,
};
use crate::child;

/// Lines that are kept for whoever wants to know how it ended, and bytes of each.
const KEPT: usize = 20;
const LINE: usize = 1000;
/// Makes a program end when we do, however that happens.
const GUARD: &str = "setpriv";
/// So qemu begins when the processor's help is of no use after all, as where this machine is a virtual one itself. It then stops, and stays.
const NO_HELP: &[u8] = b"KVM internal error";

/// Who runs what the machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// The processor, where it can.
    Best,
    /// qemu, an instruction at a time.
    Emulated,
}

/// A machine that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    control: PathBuf,
    output: Option<(ChildStdout, ChildStderr)>,
    help: Help,
}

/// Whether the processor runs a machine, and not qemu an instruction at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Help {
    /// It does.
    Given,
    /// It might, for another user.
    Refused,
    /// It does not.
    None,
}

/// How a machine ended.
#[derive(Debug)]
pub struct Ended {
    /// As its process did.
    pub status: ExitStatus,
    /// What its serial port said at last.
    pub last: Vec<Vec<u8>>,
    /// What qemu said at last.
    pub complaints: Vec<Vec<u8>>,
    /// It did not run at all: [`Speed::Emulated`] is left.
    pub is_unhelped: bool,
}

impl Machine {
    /// Starts it. `folder` is its own: for its variables and its control socket. Programs are looked for in `path`.
    ///
    /// # Errors
    /// [`BootError`].
    pub fn start(
        hardware: &Hardware,
        speed: Speed,
        folder: &Path,
        path: Option<&str>,
    ) -> Result<Self, BootError> {
        let arch = hardware.starts.arch();
        let (program, package) = program(arch);
        let qemu = found(program, path).ok_or(BootError::NoProgram { program, package })?;
        let firmware = match hardware.starts {
            Starts::Uefi(arch) => Some(own(firmware::find(arch, &firmware::FOLDERS)?, folder)?),
            Starts::Bios => None,
        };
        let control = folder.join("control");
        let help = match speed {
            Speed::Best => help(arch),
            Speed::Emulated => Help::None,
        };
        let is_helped = help == Help::Given;
        let said = words(hardware, firmware.as_ref(), control.as_os_str(), is_helped);
        let mut command = guarded(&qemu, path);
        command
            .args(said)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C is for us alone.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|source| BootError::Start { program, source })?;
        let output = child.stdout.take().zip(child.stderr.take());
        Ok(Self {
            child,
            control,
            output,
            help,
        })
    }

    /// How fast it is.
    #[must_use]
    pub fn help(&self) -> Help {
        self.help
    }

    /// Tells what its serial port says, until it ends. Waited for as long as it runs: else its port blocks.
    ///
    /// # Errors
    /// What the system says of its process.
    pub async fn ended(&mut self, told: &mpsc::UnboundedSender<Event>) -> io::Result<Ended> {
        let (mut last, mut complaints) = (Kept::default(), Kept::default());
        let mut is_unhelped = false;
        if let Some((stdout, stderr)) = self.output.take() {
            let (serial, mut said) = mpsc::channel::<Vec<u8>>(64);
            let (grumbles, mut complained) = mpsc::channel::<Vec<u8>>(64);
            let child = &mut self.child;
            let tell = async {
                loop {
                    tokio::select! {
                        Some(line) = said.recv() => {
                            last.push(line.clone());
                            drop(told.send(Event::Line(line)));
                        }
                        Some(line) = complained.recv() => {
                            if line.starts_with(NO_HELP) {
                                is_unhelped = true;
                                child.start_kill()?;
                            }
                            complaints.push(line);
                        }
                        else => return io::Result::Ok(()),
                    }
                }
            };
            let ((), (), told) =
                tokio::join!(divide(stdout, serial), divide(stderr, grumbles), tell);
            told?;
        }
        let status = self.child.wait().await?;
        Ok(Ended {
            status,
            last: last.0.into(),
            complaints: complaints.0.into(),
            is_unhelped,
        })
    }

    /// Its power button.
    #[must_use]
    pub fn button(&self) -> Button {
        Button {
            control: self.control.clone(),
        }
    }
}

/// The last lines of many.
#[derive(Default)]
struct Kept(VecDeque<Vec<u8>>);

impl Kept {
    fn push(&mut self, line: Vec<u8>) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

/// The power button of a machine.
#[derive(Debug, Clone)]
pub struct Button {
    control: PathBuf,
}

impl Button {
    /// Presses it: the system may end by itself.
    ///
    /// # Errors
    /// Where qemu does not answer.
    pub async fn press(&self) -> io::Result<()> {
        power::press(&self.control).await
    }
}

/// Divides what is said into lines, none of which is too long.
async fn divide(mut from: impl AsyncRead + Unpin, lines: mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; 8 << 10];
    let mut line = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        for byte in buffer.iter().take(count) {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut line);
                    drop(lines.send(line).await);
                }
                b'\r' => {}
                byte if line.len() < LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        drop(lines.send(line).await);
    }
}

/// The program that is such a machine, and Debian's package of it.
fn program(arch: Arch) -> (&'static str, &'static str) {
    match arch {
        Arch::X86 => ("qemu-system-x86_64", "qemu-system-x86"),
        Arch::Arm => ("qemu-system-aarch64", "qemu-system-arm"),
    }
}

/// Looks whether there is any machine at all, before anything is made for one. Programs are looked for in `path`.
///
/// # Errors
/// [`BootError::NoProgram`].
pub fn any(path: Option<&str>) -> Result<(), BootError> {
    let (name, package) = program(Arch::X86);
    let mut all = [Arch::X86, Arch::Arm].into_iter().map(program);
    if all.any(|(program, _)| found(program, path).is_some()) {
        return Ok(());
    }
    Err(BootError::NoProgram {
        program: name,
        package,
    })
}

/// A program of the path.
fn found(program: &str, path: Option<&str>) -> Option<PathBuf> {
    let mut folders = path
        .unwrap_or_default()
        .split(':')
        .filter(|at| at.starts_with('/'));
    folders.find_map(|folder| Some(Path::new(folder).join(program)).filter(|at| at.is_file()))
}

/// A command that ends with us, where the system has what does that.
fn guarded(program: &Path, path: Option<&str>) -> Command {
    let Some(guard) = found(GUARD, path) else {
        return child::command(program).into();
    };
    let mut command = child::command(guard);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.into()
}

/// Firmware with variables of its own.
fn own(firmware: Firmware, folder: &Path) -> Result<Firmware, BootError> {
    let variables = folder.join("variables");
    fs_err::copy(&firmware.variables, &variables).map_err(BootError::Prepare)?;
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs_err::set_permissions(&variables, writable).map_err(BootError::Prepare)?;
    Ok(Firmware {
        variables,
        ..firmware
    })
}

fn help(arch: Arch) -> Help {
    if arch.word() != std::env::consts::ARCH {
        return Help::None;
    }
    let mut options = fs_err::OpenOptions::new();
    match options.read(true).write(true).open("/dev/kvm") {
        Ok(_) => Help::Given,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Help::Refused,
        Err(_) => Help::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_and_bounded() {
        let (lines, mut said) = mpsc::channel(64);
        let text = [b"one\r\ntwo\n".as_slice(), &[b'x'; 3000], b"\nend"].concat();
        divide(text.as_slice(), lines).await;
        let mut all = Vec::new();
        while let Some(line) = said.recv().await {
            all.push(line);
        }
        let long = vec![b'x'; LINE];
        let expected = [b"one".to_vec(), b"two".to_vec(), long, b"end".to_vec()];
        assert_eq!(all, expected);
    }
}
