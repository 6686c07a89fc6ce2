//! Walks a context: which files, folders and links the engine gets, in a fixed order.
//!
//! In: the folder and its ignore rules. Out: a list of [`Entry`], each folder before what is in it. Reads folders and the state of
//! files, never their content. Links are never followed; what is neither file, folder nor link is left out and named in a warning.

use std::{
    ffi::OsString,
    fs::Metadata,
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use super::{
    error::{ContextError, unreadable},
    scope::{Place, Scopes},
};
use crate::project::ignore::Folder;

/// Most entries that a context may have.
pub(super) const ENTRY_LIMIT: usize = 1_000_000;

/// Permission bits that are kept, with set-user-id, set-group-id and sticky.
const MODE: u32 = 0o7777;

/// The state of a file at one moment; two equal ones mean that its content did not change in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Bytes.
    pub(super) size: u64,
    /// Last change of the content, nanoseconds since 1970.
    pub(super) modified: i64,
    /// Last change of the content or of the file's state (mode, name), nanoseconds since 1970.
    pub(super) changed: i64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    /// A file of the project, in the state in which it was found.
    File(Stamp),
    /// A symbolic link, with its target as it is written.
    Link(Vec<u8>),
    /// A file that is not in the project like this.
    Text(Vec<u8>),
}

/// One thing that the engine gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Relative to the context, with `/`, as bytes: names need not be UTF-8.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    /// Permission bits.
    pub(super) mode: u32,
    /// Last modification, seconds since 1970.
    pub(super) modified: u64,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) entries: Vec<Entry>,
    /// What was left out because it is neither file, folder nor link: its kind and path.
    pub(super) special: Vec<(&'static str, PathBuf)>,
    /// Ignore files in the context that are not in use.
    pub(super) unused_ignore_files: Vec<PathBuf>,
}

/// A folder on the way down.
struct Level {
    /// Relative to the context; empty for the context itself.
    path: Vec<u8>,
    /// The folder's own entry, until something in it is kept.
    entry: Option<Entry>,
    place: Place,
    state: Option<Folder>,
    /// Names that are still to be looked at, in reverse order.
    names: Vec<OsString>,
}

/// Walks a context; `skipped` are absolute paths that are left out whatever the rules say.
pub(super) fn walk(
    context: &Path,
    scopes: &Scopes,
    skipped: &[PathBuf],
) -> Result<Walked, ContextError> {
    let mut walked = Walked::default();
    let (place, state) = scopes.start(context);
    let mut levels = vec![Level {
        path: Vec::new(),
        entry: None,
        place,
        state,
        names: names(context)?,
    }];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            levels.pop();
            continue;
        };
        let path = join(&level.path, name.as_bytes());
        let full = context.join(Path::new(std::ffi::OsStr::from_bytes(&path)));
        if skipped.contains(&full) {
            continue;
        }
        let metadata = match full.symlink_metadata() {
            Ok(metadata) => metadata,
            // It went away after the folder was listed, so it is not a part of the context.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreadable(full, error)),
        };
        let judged = level.place.join(name.as_bytes());
        if metadata.is_dir() {
            let (place, state) = scopes.enter(&full, judged, level.state.as_ref());
            let ignored = state.as_ref().is_some_and(|state| state.ignored);
            if ignored && !scopes.worth_entering(&full, &place, state.as_ref()) {
                continue;
            }
            let names = names(&full)?;
            let entry = entry(path.clone(), Kind::Folder, &metadata);
            let entry = if ignored {
                Some(entry)
            } else {
                keep(&mut levels, &mut walked, context, entry)?;
                None
            };
            levels.push(Level {
                path,
                entry,
                place,
                state,
                names,
            });
            continue;
        }
        if name == ".dockerignore" && !scopes.uses(&full) {
            walked.unused_ignore_files.push(full.clone());
        }
        if scopes.ignores(&judged, level.state.as_ref()) {
            continue;
        }
        let kind = match kind(&full, &metadata)? {
            Ok(kind) => kind,
            Err(special) => {
                walked.special.push((special, full));
                continue;
            }
        };
        keep(
            &mut levels,
            &mut walked,
            context,
            entry(path, kind, &metadata),
        )?;
    }
    Ok(walked)
}

/// Adds an entry, after the folders that it is in.
fn keep(
    levels: &mut [Level],
    walked: &mut Walked,
    context: &Path,
    entry: Entry,
) -> Result<(), ContextError> {
    walked
        .entries
        .extend(levels.iter_mut().filter_map(|level| level.entry.take()));
    walked.entries.push(entry);
    if walked.entries.len() > ENTRY_LIMIT {
        return Err(ContextError::TooMany {
            path: context.to_owned(),
            limit: ENTRY_LIMIT,
        });
    }
    Ok(())
}

/// The entry for one path of the context, whatever the rules say of it; `None` when there is no such file, folder or link.
pub(super) fn single(context: &Path, path: &[u8]) -> Result<Option<Entry>, ContextError> {
    let full = context.join(Path::new(std::ffi::OsStr::from_bytes(path)));
    let metadata = match full.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(full, error)),
    };
    if metadata.is_dir() {
        return Ok(Some(entry(path.to_vec(), Kind::Folder, &metadata)));
    }
    Ok(kind(&full, &metadata)?
        .ok()
        .map(|kind| entry(path.to_vec(), kind, &metadata)))
}

fn entry(path: Vec<u8>, kind: Kind, metadata: &Metadata) -> Entry {
    // A link has no mode of its own; what a file system reports for it differs between systems.
    let mode = if matches!(kind, Kind::Link(_)) {
        0o777
    } else {
        metadata.mode() & MODE
    };
    Entry {
        path,
        kind,
        mode,
        modified: u64::try_from(metadata.mtime()).unwrap_or_default(),
    }
}

/// What something is that is no folder; the inner error names a kind that is not sent.
fn kind(full: &Path, metadata: &Metadata) -> Result<Result<Kind, &'static str>, ContextError> {
    let file_type = metadata.file_type();
    Ok(if file_type.is_file() {
        Ok(Kind::File(Stamp::of(metadata)))
    } else if file_type.is_symlink() {
        let target = fs_err::read_link(full).map_err(|error| unreadable(full.to_owned(), error))?;
        Ok(Kind::Link(target.into_os_string().into_vec()))
    } else if file_type.is_fifo() {
        Err("FIFO")
    } else if file_type.is_socket() {
        Err("socket")
    } else {
        Err("device")
    })
}

/// Names in a folder, the last one first.
fn names(folder: &Path) -> Result<Vec<OsString>, ContextError> {
    let failed = |error| unreadable(folder.to_owned(), error);
    let mut names = folder
        .read_dir()
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    [folder, b"/", name].concat()
}
