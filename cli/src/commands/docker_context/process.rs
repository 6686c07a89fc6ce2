//! The program in the background where systemd does not start it: how it is started, found and ended.

use std::{
    collections::BTreeMap,
    fs::Permissions,
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt as _, net::UnixListener},
    },
    path::Path,
    process::Stdio,
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
    process::{
        Flock, FlockOffsetType, FlockType, Pid, PidfdFlags, Signal, fcntl_getlk, pidfd_open,
        pidfd_send_signal,
    },
};
use tokio::task::spawn_blocking;

use super::Files;
use crate::child;

/// How long it may take to end when it is asked to.
const ENDING: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// Says who carries, for as long as this process is there: the kernel tells others who holds the lock.
///
/// # Errors
/// When another process holds it.
pub(in crate::commands) fn hold(path: &Path) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Starts it with these variables, and nothing else of ours: neither our output, for which others may wait, nor our keys.
pub(super) fn start(
    program: &Path,
    files: &Files,
    variables: &BTreeMap<&str, String>,
) -> io::Result<()> {
    // What a shell or a program has given us to hold, as a lock or a pipe.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let listener = listen(&files.socket)?;
    let mut options = fs_err::OpenOptions::new();
    // The program itself keeps it short.
    let log = options.create(true).append(true).mode(0o600);
    let log = log.open(files.log())?.into_parts().0;
    let mut command = child::command(program);
    command
        .args(["--quiet", "docker-carrier", &files.name])
        .env_clear()
        .envs(variables)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(log)
        .current_dir("/");
    command.spawn()?;
    Ok(())
}

/// A socket that only its owner connects to.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if path.exists() {
        fs_err::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    fs_err::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Ends the process that holds the lock, if there is one, and waits until it has ended.
///
/// # Errors
/// When it does not end.
pub(super) async fn end(lock: &Path) -> io::Result<()> {
    let file = match fs_err::File::open(lock) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    for signal in [Signal::TERM, Signal::KILL] {
        let Some(pid) = holder(&file)? else {
            return Ok(());
        };
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(()),
            process => process?,
        };
        // Only now that number cannot become another one's.
        if holder(&file)? != Some(pid) {
            return Ok(());
        }
        match pidfd_send_signal(&process, signal) {
            Err(Errno::SRCH) => return Ok(()),
            sent => sent?,
        }
        // It can be read when it has ended.
        let waiting = spawn_blocking(move || {
            let mut asked = [PollFd::new(&process, PollFlags::IN)];
            poll(&mut asked, Some(&ENDING))
        });
        if waiting.await.map_err(io::Error::other)?? > 0 {
            return Ok(());
        }
    }
    let stuck = format!("what holds {} does not end", lock.display());
    Err(io::Error::new(io::ErrorKind::TimedOut, stuck))
}

fn holder(file: &fs_err::File) -> io::Result<Option<Pid>> {
    let asked = Flock {
        start: 0,
        length: 0,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    Ok(fcntl_getlk(file, &asked)?.and_then(|lock| lock.pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_holds_is_ended_already() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        end(&path).await.unwrap();
        // A number of before, which may be anybody's by now.
        fs_err::write(&path, std::process::id().to_string()).unwrap();
        end(&path).await.unwrap();
    }
}
