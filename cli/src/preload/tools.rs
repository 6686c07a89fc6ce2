//! The programs that change file systems and tables: those of every Linux, and nothing that needs root.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use super::{
    Told,
    attend::{Call, GUARD, Way},
    script::Script,
};

/// Where they are besides the places of a person's own programs.
const MORE_PLACES: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/bin"];
/// Characters of what one says about its failure.
pub(super) const MOST_WORDS: usize = 400;
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
    /// It was ended.
    #[error("`{program}` was ended before it was done")]
    Ended {
        /// Its name.
        program: &'static str,
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
pub(super) struct Tool {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
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
    for tool in [E2FSCK, RESIZE2FS, DEBUGFS, SFDISK, GUARD] {
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
pub(super) fn mend(way: Way<'_>, system: &File, told: &mut Told<'_>) -> Result<(), ToolError> {
    let path = path_of(system);
    // 1: it was mended.
    let call = Call::new(E2FSCK, vec!["-fy".as_ref(), path.as_ref()]).fine_up_to(1);
    call.run(way, told).map(drop)
}

/// Checks that nothing is wrong with a file system.
pub(super) fn check(way: Way<'_>, system: &File, told: &mut Told<'_>) -> Result<(), ToolError> {
    let path = path_of(system);
    let call = Call::new(E2FSCK, vec!["-fn".as_ref(), path.as_ref()]);
    call.run(way, told).map(drop)
}

/// Lets a file system have all of its file.
pub(super) fn grow(way: Way<'_>, system: &File, told: &mut Told<'_>) -> Result<(), ToolError> {
    let path = path_of(system);
    let call = Call::new(RESIZE2FS, vec![path.as_ref()]);
    call.run(way, told).map(drop)
}

/// Changes files of a file system.
pub(super) fn edit(
    way: Way<'_>,
    system: &File,
    script: &Script,
    told: &mut Told<'_>,
) -> Result<(), ToolError> {
    let path = path_of(system);
    let arguments = ["-w", "-f", "-"].map(OsStr::new);
    let arguments = arguments.into_iter().chain([path.as_os_str()]).collect();
    let call = Call::new(DEBUGFS, arguments).reads(script.text());
    let said = call.run(way, told)?;
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

/// Gives a partition of a disk, by its number, another length, in sectors; `None`: as long as it can be.
pub(super) fn lengthen(
    way: Way<'_>,
    disk: &File,
    (number, sectors): (u32, Option<u64>),
    told: &mut Told<'_>,
) -> Result<(), ToolError> {
    let path = path_of(disk);
    let number = number.to_string();
    let arguments: Vec<&OsStr> = vec![
        "--quiet".as_ref(),
        "--no-reread".as_ref(),
        "--no-tell-kernel".as_ref(),
        "-N".as_ref(),
        number.as_ref(),
        path.as_os_str(),
    ];
    let length = sectors.map_or_else(|| "+".to_owned(), |sectors| sectors.to_string());
    let call = Call::new(SFDISK, arguments).reads(format!(", {length}\n"));
    call.run(way, told).map(drop)
}

pub(super) fn find(tool: Tool, search: &OsStr) -> Result<PathBuf, ToolError> {
    let own = std::env::split_paths(search);
    let places = own.chain(MORE_PLACES.map(PathBuf::from));
    let mut found = places.map(|place| place.join(tool.program));
    let is_there = |path: &PathBuf| path.is_absolute() && Path::is_file(path);
    found.find(is_there).ok_or(ToolError::Missing {
        program: tool.program,
        package: tool.package,
    })
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

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
        let interrupt = CancellationToken::new();
        let way = Way {
            search: OsStr::new("/usr/sbin:/usr/bin"),
            interrupt: &interrupt,
        };
        let mut script = Script::default();
        script.remove("/nothing");
        for error in [
            check(way, &file, &mut |_| Ok(())).unwrap_err(),
            edit(way, &file, &script, &mut |_| Ok(())).unwrap_err(),
        ] {
            let ToolError::Failed { words, .. } = &error else {
                panic!("{error:?}");
            };
            assert!(words.contains("magic number"), "{words}");
        }
    }
}
