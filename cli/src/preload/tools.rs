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
/// Lines of what one found that are told.
const MOST_FINDINGS: usize = 20;
/// `e2fsck` has mended all there was to be; the second one, of a file system that the machine itself runs from.
const MENDED: i32 = 1;
const MENDED_AT_START: i32 = 3;
/// It has found what takes a person's word, and left it; and what is trouble of its own, as a feature that it does not know.
const LEFT: i32 = 4;
const TROUBLE: i32 = 8;
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

/// Checks a file system, and mends what loses nothing: what was to be done still when its device lost power. Returns what that was; or else
/// what is wrong, where only a person can say what is to become of it.
pub(super) fn mend(
    way: Way<'_>,
    system: &File,
    told: &mut Told<'_>,
) -> Result<Result<Vec<String>, String>, ToolError> {
    let path = path_of(system);
    let call = Call::new(E2FSCK, vec!["-fp".as_ref(), path.as_ref()]);
    let ended = call.ended(way, told)?;
    let code = ended.status.code();
    let said = [&ended.stdout[..], b"\n", &ended.stderr].concat();
    let mut words = findings(&String::from_utf8_lossy(&said), &path.display().to_string());
    match code {
        // All is well, but for what it did by the way.
        Some(0) => Ok(Ok(Vec::new())),
        Some(MENDED | MENDED_AT_START) => {
            if words.is_empty() {
                words.push("counts of what is free".to_owned());
            }
            Ok(Ok(words))
        }
        // It has faults that it leaves; whatever is above that is trouble of its own.
        Some(LEFT..TROUBLE) if !words.is_empty() => {
            let words = words.join("; ");
            Ok(Err(words.chars().take(MOST_WORDS).collect()))
        }
        _ => {
            let words = if words.is_empty() {
                format!("it ended with {}", ended.status)
            } else {
                words.join("; ").chars().take(MOST_WORDS).collect()
            };
            let program = E2FSCK.program;
            Err(ToolError::Failed { program, words })
        }
    }
}

/// What `e2fsck` found, of all that it says about a file system by this path or by its label.
fn findings(said: &str, path: &str) -> Vec<String> {
    let is_talk = |line: &str| {
        let is_sum = line.contains(" files (") && line.ends_with(" blocks");
        let is_advice = [
            "UNEXPECTED INCONSISTENCY",
            "(i.e., without",
            "e2fsck: aborted",
        ];
        line.is_empty()
            || is_sum
            || line.starts_with("e2fsck 1.")
            || is_advice.iter().any(|start| line.starts_with(start))
    };
    let lines = said.lines().map(|line| {
        let line = line.trim();
        let line = line.strip_prefix(path).unwrap_or(line);
        let (before, after) = line.split_once(": ").unwrap_or(("", line));
        // A label has no blank there, and what is found begins with one word and a number or two.
        if before.contains(' ') { line } else { after }
    });
    let found = lines.map(str::trim).filter(|line| !is_talk(line));
    found.take(MOST_FINDINGS).map(str::to_owned).collect()
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

    /// A file system with a file, changed by this.
    fn system(command: &str) -> File {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (path, content) = (at("system"), at("content"));
        fs_err::create_dir(&content).unwrap();
        fs_err::write(format!("{content}/kept"), vec![7; 20_000]).unwrap();
        let file = fs_err::File::create(&path).unwrap();
        file.set_len(8 << 20).unwrap();
        for (program, words) in [
            (
                "mke2fs",
                &[
                    "-q",
                    "-t",
                    "ext4",
                    "-L",
                    "resin-data",
                    "-d",
                    &content,
                    &path,
                ][..],
            ),
            ("debugfs", &["-w", "-R", command, &path]),
        ] {
            let made = crate::child::command(find(of_e2fsprogs(program), OsStr::new("")).unwrap())
                .args(words)
                .output();
            assert!(made.as_ref().unwrap().status.success(), "{made:?}");
        }
        let mut options = fs_err::OpenOptions::new();
        let opened = options.read(true).write(true).open(&path).unwrap();
        opened.into_parts().0
    }

    #[test]
    fn what_loses_nothing_is_mended_and_told_and_all_else_is_refused() {
        let interrupt = CancellationToken::new();
        let way = Way {
            search: OsStr::new(""),
            interrupt: &interrupt,
        };
        let mended = |command: &str| mend(way, &system(command), &mut |_| Ok(())).unwrap();
        assert_eq!(mended("stat /kept"), Ok(Vec::new()));
        let told = mended("sif /kept links_count 7").unwrap();
        assert_eq!(told, ["Inode 12 ref count is 7, should be 1.  FIXED."]);
        let refused = mended("sif /kept mode 040755").unwrap_err();
        assert!(refused.contains("incorrect filetype"), "{refused}");
        assert!(!refused.contains("UNEXPECTED"), "{refused}");
        assert!(!refused.contains("resin-data"), "{refused}");
    }

    #[test]
    fn what_is_found_is_told_without_the_name_of_where_it_is() {
        let said = "e2fsck 1.47.0 (5-Feb-2023)\n\
            resin-data: Inode 12 ref count is 7, should be 1.  FIXED.\n\
            /proc/1/fd/3: Entry 'a: b' in / (2) has an incorrect filetype.\n\
            Entry 'c: d' in / (2) is a link.\n\
            resin-data: 12/2048 files (0.0% non-contiguous), 1413/8192 blocks\n\n";
        let found = [
            "Inode 12 ref count is 7, should be 1.  FIXED.",
            "Entry 'a: b' in / (2) has an incorrect filetype.",
            "Entry 'c: d' in / (2) is a link.",
        ];
        assert_eq!(findings(said, "/proc/1/fd/3"), found);
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
