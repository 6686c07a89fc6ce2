//! The programs that change file systems and tables: those of every Linux, and nothing that needs root.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use super::script::Script;
use crate::child;

/// Where they are besides the places of a person's own programs.
const MORE_PLACES: [&str; 2] = ["/usr/sbin", "/sbin"];
/// Characters of what one says about its failure.
const MOST_WORDS: usize = 400;
/// How the first line of what `debugfs` says begins; whatever else it says there is a failure, which its exit code does not tell.
const BANNER: &str = "debugfs 1.";

/// Why a program did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It is not on this machine.
    #[error("`{program}` is not on this machine")]
    Missing {
        /// Its name.
        program: &'static str,
        /// Debian's package with it.
        package: &'static str,
    },
    /// It could not be started.
    #[error("`{program}` could not be run")]
    Start {
        /// Its name.
        program: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("`{program}` failed: {words}")]
    Failed {
        /// Its name.
        program: &'static str,
        /// What it says.
        words: String,
    },
}

/// A program and its package.
#[derive(Debug, Clone, Copy)]
struct Tool {
    program: &'static str,
    package: &'static str,
}

const E2FSCK: Tool = of_e2fsprogs("e2fsck");
const RESIZE2FS: Tool = of_e2fsprogs("resize2fs");
const DEBUGFS: Tool = of_e2fsprogs("debugfs");
const SFDISK: Tool = Tool {
    program: "sfdisk",
    package: "fdisk",
};

const fn of_e2fsprogs(program: &'static str) -> Tool {
    Tool {
        program,
        package: "e2fsprogs",
    }
}

/// Says that a program is missing before anything was done.
///
/// # Errors
/// [`ToolError::Missing`].
pub(super) fn look(search: &OsStr) -> Result<(), ToolError> {
    for tool in [E2FSCK, RESIZE2FS, DEBUGFS, SFDISK] {
        find(tool, search)?;
    }
    Ok(())
}

/// The path by which another process finds an open file, also one without a name.
pub(super) fn path_of(file: &File) -> PathBuf {
    PathBuf::from(format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        file.as_raw_fd()
    ))
}

/// Checks a file system and mends it.
pub(super) fn mend(search: &OsStr, system: &File) -> Result<(), ToolError> {
    let path = path_of(system);
    // 1: it was mended.
    run(E2FSCK, search, &["-fy".as_ref(), path.as_ref()], "", 1).map(drop)
}

/// Checks that nothing is wrong with a file system.
pub(super) fn check(search: &OsStr, system: &File) -> Result<(), ToolError> {
    let path = path_of(system);
    run(E2FSCK, search, &["-fn".as_ref(), path.as_ref()], "", 0).map(drop)
}

/// Lets a file system have all of its file.
pub(super) fn grow(search: &OsStr, system: &File) -> Result<(), ToolError> {
    let path = path_of(system);
    run(RESIZE2FS, search, &[path.as_ref()], "", 0).map(drop)
}

/// Changes files of a file system.
pub(super) fn edit(search: &OsStr, system: &File, script: &Script) -> Result<(), ToolError> {
    let path = path_of(system);
    let arguments = ["-w", "-f", "-"].map(OsStr::new);
    let arguments: Vec<&OsStr> = arguments.into_iter().chain([path.as_os_str()]).collect();
    let said = run(DEBUGFS, search, &arguments, &script.text(), 0)?;
    let wrong = said
        .lines()
        .find(|line| !line.starts_with(BANNER) && !line.trim().is_empty());
    match wrong {
        None => Ok(()),
        Some(words) => Err(ToolError::Failed {
            program: DEBUGFS.program,
            words: words.chars().take(MOST_WORDS).collect(),
        }),
    }
}

/// Gives a partition of a disk another length, in sectors; `None`: as long as it can be.
pub(super) fn lengthen(
    search: &OsStr,
    disk: &File,
    number: u32,
    sectors: Option<u64>,
) -> Result<(), ToolError> {
    let path = path_of(disk);
    let number = number.to_string();
    let arguments: [&OsStr; 6] = [
        "--quiet".as_ref(),
        "--no-reread".as_ref(),
        "--no-tell-kernel".as_ref(),
        "-N".as_ref(),
        number.as_ref(),
        path.as_os_str(),
    ];
    let length = sectors.map_or_else(|| "+".to_owned(), |sectors| sectors.to_string());
    run(SFDISK, search, &arguments, &format!(", {length}\n"), 0).map(drop)
}

fn find(tool: Tool, search: &OsStr) -> Result<PathBuf, ToolError> {
    let own = std::env::split_paths(search);
    let places = own.chain(MORE_PLACES.map(PathBuf::from));
    let mut found = places.map(|place| place.join(tool.program));
    let is_there = |path: &PathBuf| path.is_absolute() && Path::is_file(path);
    found.find(is_there).ok_or(ToolError::Missing {
        program: tool.program,
        package: tool.package,
    })
}

/// Runs a program, and returns what it says on standard error. Exit codes up to `most` are fine.
fn run(
    tool: Tool,
    search: &OsStr,
    arguments: &[&OsStr],
    input: &str,
    most: i32,
) -> Result<String, ToolError> {
    let program = tool.program;
    let failed = |source| ToolError::Start { program, source };
    let mut command = child::command(find(tool, search)?);
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read has its reasons, and says so.
        drop(stdin.write_all(input.as_bytes()));
    }
    let ended = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    if ended
        .status
        .code()
        .is_some_and(|code| (0..=most).contains(&code))
    {
        return Ok(said);
    }
    let lines = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(program));
    let words = lines.collect::<Vec<_>>().join("; ");
    let words = if words.is_empty() {
        format!("it ended with {}", ended.status)
    } else {
        words.chars().take(MOST_WORDS).collect()
    };
    Err(ToolError::Failed { program, words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_package() {
        let tool = Tool {
            program: "os-no-such-program",
            package: "none",
        };
        let missing = find(tool, OsStr::new("/usr/bin:relative"));
        assert!(matches!(
            missing,
            Err(ToolError::Missing {
                program: "os-no-such-program",
                package: "none"
            })
        ));
        look(OsStr::new("")).unwrap();
    }

    #[test]
    fn what_a_program_says_is_why_it_failed() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let search = OsStr::new("/usr/sbin");
        let mut script = Script::default();
        script.remove("/nothing");
        for error in [
            check(search, &file).unwrap_err(),
            edit(search, &file, &script).unwrap_err(),
        ] {
            let ToolError::Failed { words, .. } = &error else {
                panic!("{error:?}");
            };
            assert!(words.contains("magic number"), "{words}");
        }
    }
}
