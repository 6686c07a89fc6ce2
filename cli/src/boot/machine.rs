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

/// A machine that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    control: PathBuf,
    output: Option<(ChildStdout, ChildStderr)>,
}

/// How a machine ended.
#[derive(Debug)]
pub struct Ended {
    /// As its process did.
    pub status: ExitStatus,
    /// What it said at last, its serial port and qemu.
    pub last: Vec<Vec<u8>>,
}

impl Machine {
    /// Starts it. `folder` is its own: for its variables and its control socket. Programs are looked for in `path`.
    ///
    /// # Errors
    /// [`BootError`].
    pub fn start(
        hardware: &Hardware,
        folder: &Path,
        path: Option<&str>,
    ) -> Result<Self, BootError> {
        let arch = hardware.starts.arch();
        let (program, package) = match arch {
            Arch::X86 => ("qemu-system-x86_64", "qemu-system-x86"),
            Arch::Arm => ("qemu-system-aarch64", "qemu-system-arm"),
        };
        let qemu = found(program, path).ok_or(BootError::NoProgram { program, package })?;
        let firmware = match hardware.starts {
            Starts::Uefi(arch) => Some(own(firmware::find(arch, &firmware::FOLDERS)?, folder)?),
            Starts::Bios => None,
        };
        let control = folder.join("control");
        let said = words(
            hardware,
            firmware.as_ref(),
            control.as_os_str(),
            has_kvm(arch),
        );
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
        })
    }

    /// Tells what its serial port says, until it ends. Waited for as long as it runs: else its port blocks.
    ///
    /// # Errors
    /// What the system says of its process.
    pub async fn ended(&mut self, told: &mpsc::UnboundedSender<Event>) -> io::Result<Ended> {
        let mut last = VecDeque::new();
        if let Some((stdout, stderr)) = self.output.take() {
            let (lines, mut said) = mpsc::channel(64);
            let read = async {
                let others = lines.clone();
                tokio::join!(divide(stdout, lines), divide(stderr, others))
            };
            let tell = async {
                while let Some(line) = said.recv().await {
                    if last.len() == KEPT {
                        last.pop_front();
                    }
                    last.push_back(line);
                    let line = last.back().cloned().unwrap_or_default();
                    drop(told.send(Event::Line(line)));
                }
            };
            tokio::join!(read, tell);
        }
        let status = self.child.wait().await?;
        let last = last.into();
        Ok(Ended { status, last })
    }

    /// Its power button.
    #[must_use]
    pub fn button(&self) -> Button {
        Button {
            control: self.control.clone(),
        }
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

fn has_kvm(arch: Arch) -> bool {
    arch.word() == std::env::consts::ARCH
        && fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
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
