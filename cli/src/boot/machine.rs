//! The process of a machine.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::Path,
    process::{ExitStatus, Stdio},
};

use tokio::{
    net::UnixStream,
    process::{Child, ChildStderr, ChildStdout},
    sync::mpsc,
};

use super::{
    BootError, Event, Hardware, Help, Starts,
    control::{AGAIN, Fate, attend},
    disk::shared,
    firmware::{self, Firmware},
    lines::{Kept, divide},
    program::{self, guarded},
    words::words,
};

/// Bytes of a line.
const LINE: usize = 1000;
/// So qemu begins when the processor's help is of no use after all, as where this machine is a virtual one itself. It then stops, and stays.
const NO_HELP: [&[u8]; 4] = [
    b"KVM internal error",
    b"KVM: entry failed",
    b"error: kvm run failed",
    // So it ends before anything has run.
    b"error: failed to set MSR",
];

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
    talk: Option<Talk>,
    button: Button,
    help: Help,
    /// The variables of its firmware, which have no name.
    _variables: Option<fs::File>,
}

/// All that it says, and hears.
#[derive(Debug)]
struct Talk {
    stdout: ChildStdout,
    stderr: ChildStderr,
    control: UnixStream,
    presses: mpsc::Receiver<()>,
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
    /// qemu could not go on with it.
    pub is_stopped: bool,
}

impl Machine {
    /// Starts it. What it keeps beside its disk is in `folder`, without a name. Programs are looked for in `path`.
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
        let (program, package) = program::of(arch);
        let qemu = program::found((program, package), path)?;
        let (firmware, variables) = match hardware.starts {
            Starts::Uefi(arch) => {
                let (firmware, variables) = own(firmware::find(arch, &firmware::FOLDERS)?, folder)
                    .map_err(BootError::Prepare)?;
                (Some(firmware), Some(variables))
            }
            Starts::Bios => (None, None),
        };
        let help = match speed {
            Speed::Best => Help::of(arch),
            Speed::Emulated => Help::None,
        };
        let (control, theirs) = pair().map_err(BootError::Prepare)?;
        let mut command = guarded(&qemu, path)?;
        command
            .args(words(hardware, firmware.as_ref(), help))
            .stdin(theirs)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C is for us alone.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|source| BootError::Start { program, source })?;
        let (button, presses) = mpsc::channel(1);
        let output = child.stdout.take().zip(child.stderr.take());
        let talk = output.map(|(stdout, stderr)| Talk {
            stdout,
            stderr,
            control,
            presses,
        });
        Ok(Self {
            child,
            talk,
            button: Button { presses: button },
            help,
            _variables: variables,
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
    pub async fn ended(&mut self, told: &mpsc::Sender<Event>) -> io::Result<Ended> {
        let (mut last, mut complaints) = (Kept::default(), Kept::default());
        let mut is_stopped = false;
        if let Some(talk) = self.talk.take() {
            let (serial, mut said) = mpsc::channel::<Vec<u8>>(64);
            let (grumbles, mut complained) = mpsc::channel::<Vec<u8>>(64);
            let control = attend(talk.control, talk.presses, told, AGAIN);
            tokio::pin!(control);
            let mut is_over = false;
            let child = &mut self.child;
            let tell = async {
                loop {
                    let is_end = tokio::select! {
                        Some(line) = said.recv() => {
                            last.push(line.clone());
                            drop(told.send(Event::Line(line)).await);
                            false
                        }
                        Some(line) = complained.recv() => {
                            let own = without_name(&line);
                            let is_end = NO_HELP.iter().any(|words| own.starts_with(words));
                            complaints.push(line);
                            is_end
                        }
                        fate = &mut control, if !is_over => {
                            is_over = true;
                            fate == Fate::Stopped
                        }
                        else => return io::Result::Ok(()),
                    };
                    if is_end {
                        is_stopped = true;
                        child.start_kill()?;
                    }
                }
            };
            let ((), (), told) = tokio::join!(
                divide(talk.stdout, serial, LINE),
                divide(talk.stderr, grumbles, LINE),
                tell
            );
            told?;
        }
        let status = self.child.wait().await?;
        Ok(Ended {
            status,
            last: last.into(),
            complaints: complaints.into(),
            is_stopped,
        })
    }

    /// Its power button.
    #[must_use]
    pub fn button(&self) -> Button {
        self.button.clone()
    }

    /// Pulls its plug, and waits until it is off.
    ///
    /// # Errors
    /// What the system says of its process.
    pub async fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_none() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// The power button of a machine.
#[derive(Debug, Clone)]
pub struct Button {
    presses: mpsc::Sender<()>,
}

impl Button {
    /// Presses it: the system may end by itself. One that is ending hears no more.
    pub fn press(&self) {
        self.presses.try_send(()).unwrap_or_default();
    }
}

/// A line of qemu's without its name, which stands before some of them.
fn without_name(line: &[u8]) -> &[u8] {
    let end = line.windows(2).position(|two| two == b": ");
    let end = end.filter(|_| line.starts_with(b"qemu-system-"));
    end.and_then(|end| line.get(end + 2..)).unwrap_or(line)
}

/// A connection that a program has as its standard input.
fn pair() -> io::Result<(UnixStream, Stdio)> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, OwnedFd::from(theirs).into()))
}

/// Firmware with variables of its own.
fn own(firmware: Firmware, folder: &Path) -> io::Result<(Firmware, fs::File)> {
    let mut template = fs_err::File::open(&firmware.variables)?;
    let mut variables = tempfile::tempfile_in(folder)?;
    io::copy(&mut template, &mut variables)?;
    let firmware = Firmware {
        variables: shared(&variables),
        ..firmware
    };
    Ok((firmware, variables))
}
