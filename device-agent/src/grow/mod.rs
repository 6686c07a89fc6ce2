//! `os-agent grow`: the data partition and its file system reach to the end of the disk.
//!
//! ```text
//!  sysfs: which disk, which number ─┐
//!  sfdisk --json ─► table ──────────┴─► decide ─► sfdisk, partx, resize2fs      (the system's programs write)
//! ```
//!
//! In: the partition's device. Out: a larger one, or the same. Each step finds done what was done: after a cut of power the next call
//! goes on. The file system may be in use.

mod decide;
pub(crate) mod fuzz;
mod table;

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fs_err as fs;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use decide::CannotGrow;
use table::TableError;

/// What `sfdisk` calls "as much as there is".
const ALL: &str = ", +\n";
/// For one program: a large file system takes minutes.
const MAX_WAIT: Duration = Duration::from_mins(30);
/// Characters of what a program says about its failure.
const MAX_WORDS: usize = 300;
/// The kernel's unit of a disk's size, whatever the disk's own sectors are.
const KERNEL_SECTOR: u64 = 512;

/// Why it did not grow. Whatever it was before, it is still.
#[derive(Debug, Error)]
pub(crate) enum GrowError {
    /// No such partition.
    #[error("there is no partition at {}", path.display())]
    NoPartition {
        /// Where it was looked for.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The kernel does not say of which disk it is.
    #[error("the kernel does not say which partition {0} is")]
    NoDisk(String),
    /// A table of another kind.
    #[error("{disk}")]
    Table {
        /// The disk.
        disk: String,
        /// The reason.
        #[source]
        source: TableError,
    },
    /// There is no room that it could have.
    #[error("{disk}")]
    Cannot {
        /// The disk.
        disk: String,
        /// The reason.
        #[source]
        source: CannotGrow,
    },
    /// One of the system's programs is missing, or does not end.
    #[error("could not run {program}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// It refused.
    #[error("{program} failed: {words}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// The last that it said.
        words: String,
    },
}

/// A partition and its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    partition: PathBuf,
    number: u32,
    disk: PathBuf,
    disk_bytes: u64,
}

/// Grows the partition behind this device or label.
pub(crate) async fn run(device: &Path) -> Result<(), GrowError> {
    let device = fs::canonicalize(device).map_err(|source| GrowError::NoPartition {
        path: device.to_owned(),
        source,
    })?;
    let place = place(&device, Path::new("/sys/class/block"))?;
    if grow_entries(&place).await? {
        let number = place.number.to_string();
        let arguments = [
            "--update".as_ref(),
            "--nr".as_ref(),
            number.as_ref(),
            place.disk.as_os_str(),
        ];
        program("partx", &arguments, "").await?;
        tracing::info!(
            "partition {number} of {} reaches to its end",
            place.disk.display()
        );
    }
    // Also where the table was as it should be: power may have been cut right here.
    let said = program("resize2fs", &[place.partition.as_os_str()], "").await?;
    let said = String::from_utf8_lossy(&said);
    for line in said.lines().filter(|line| !line.trim().is_empty()).take(3) {
        tracing::debug!("resize2fs: {line}");
    }
    Ok(())
}

/// Which partition of which disk a device is.
fn place(device: &Path, sysfs: &Path) -> Result<Place, GrowError> {
    let name = device.file_name().unwrap_or_default();
    let unknown = || GrowError::NoDisk(device.display().to_string());
    let number = |file: &Path| {
        let text = fs::read_to_string(file).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let folder = fs::canonicalize(sysfs.join(name)).map_err(|_| unknown())?;
    let of_disk = number(&folder.join("partition")).and_then(|number| u32::try_from(number).ok());
    let above = folder.parent().filter(|above| above.join("size").exists());
    let (Some(of_disk), Some(above)) = (of_disk, above) else {
        return Err(unknown());
    };
    let sectors = number(&above.join("size")).ok_or_else(unknown)?;
    Ok(Place {
        partition: device.to_owned(),
        number: of_disk,
        disk: device.with_file_name(above.file_name().unwrap_or_default()),
        disk_bytes: sectors.saturating_mul(KERNEL_SECTOR),
    })
}

/// Lets entries of the table reach to the end of the disk. Returns whether there was something to do.
async fn grow_entries(place: &Place) -> Result<bool, GrowError> {
    let disk = place.disk.display().to_string();
    let written = program("sfdisk", &["--json".as_ref(), place.disk.as_os_str()], "").await?;
    let table = table::read(&written).map_err(|source| GrowError::Table {
        disk: disk.clone(),
        source,
    })?;
    let growing = decide::decide(&table, place.disk_bytes, place.number)
        .map_err(|source| GrowError::Cannot { disk, source })?;
    for number in &growing {
        let number = number.to_string();
        // The kernel is told by another program: this one wants a disk that nobody uses.
        let arguments = [
            "--quiet".as_ref(),
            "--no-reread".as_ref(),
            "--no-tell-kernel".as_ref(),
            "-N".as_ref(),
            number.as_ref(),
            place.disk.as_os_str(),
        ];
        program("sfdisk", &arguments, ALL).await?;
    }
    Ok(!growing.is_empty())
}

/// Runs a program of the system, and returns what it says.
async fn program(
    program: &'static str,
    arguments: &[&OsStr],
    input: &str,
) -> Result<Vec<u8>, GrowError> {
    let failed = |source| GrowError::Program { program, source };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read has its reasons, and says so.
        drop(stdin.write_all(input.as_bytes()).await);
    }
    let ended = tokio::time::timeout(MAX_WAIT, child.wait_with_output()).await;
    let ended = ended.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?;
    let ended = ended.map_err(failed)?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let words: String = last
        .unwrap_or("it does not say why")
        .chars()
        .take(MAX_WORDS)
        .collect();
    Err(GrowError::Failed { program, words })
}

#[cfg(test)]
mod tests;
