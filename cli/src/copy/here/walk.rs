//! What there is of a source on this machine.

use std::{
    fs::Metadata,
    io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use crate::copy::{
    CopyError,
    event::{Events, left},
    item::{Beneath, Item, Kind, MODE},
};

/// All of it, folders before what is in them. A link that was named itself is followed, those below it are not.
pub(in crate::copy) fn walk(source: &Path, events: &Events) -> Result<Vec<Item>, CopyError> {
    let about = fs_err::metadata(source).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => CopyError::Missing {
            side: "this machine".to_owned(),
            path: source.display().to_string(),
        },
        _ => CopyError::here(source)(error),
    })?;
    let mut items = vec![item(Beneath::default(), &about, source)];
    if about.is_dir() {
        below(source, &Beneath::default(), &mut items, events);
    }
    Ok(items)
}

fn below(source: &Path, folder: &Beneath, items: &mut Vec<Item>, events: &Events) {
    let path = source.join(folder.path());
    let tell = |error: &io::Error| left(events, path.as_os_str().as_bytes(), error.to_string());
    let mut names = match fs_err::read_dir(&path) {
        Ok(entries) => match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => return tell(&error),
        },
        Err(error) => return tell(&error),
    };
    names.sort_by_key(fs_err::DirEntry::file_name);
    for entry in names {
        let name = entry.file_name();
        let at = Beneath::parse(name.as_bytes())
            .and_then(|name| Beneath::parse(folder.join(&name).bytes()));
        let (about, at) = match (entry.metadata(), at) {
            (Ok(about), Ok(at)) => (about, at),
            (Err(error), _) => {
                left(
                    events,
                    entry.path().as_os_str().as_bytes(),
                    error.to_string(),
                );
                continue;
            }
            (_, Err(error)) => {
                left(
                    events,
                    entry.path().as_os_str().as_bytes(),
                    error.to_string(),
                );
                continue;
            }
        };
        items.push(item(at.clone(), &about, &entry.path()));
        if about.is_dir() {
            below(source, &at, items, events);
        }
    }
}

fn item(path: Beneath, about: &Metadata, at: &Path) -> Item {
    let kind = if about.is_dir() {
        Kind::Folder
    } else if about.is_file() {
        Kind::File(about.len())
    } else if about.is_symlink() {
        match fs_err::read_link(at) {
            Ok(target) => Kind::Link(target.as_os_str().as_bytes().to_vec()),
            Err(_) => Kind::Special,
        }
    } else {
        Kind::Special
    };
    Item {
        path,
        kind,
        mode: about.mode() & MODE,
        mtime: about.mtime(),
    }
}
