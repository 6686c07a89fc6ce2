//! What is in a context, for those who put single files of it somewhere else than into a build.

use std::{
    ffi::OsStr,
    io::Write,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use blake3::Hash;

use super::{
    BuildContext, ContextError,
    archive::{Member, write_members},
    walk::Kind,
};

/// A file, folder or link of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Relative to the context, with `/`, as bytes.
    pub path: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub content: Content<'a>,
    /// Its place among all of the context.
    pub number: usize,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// A folder.
    Folder,
    /// A file, by the hash of its bytes.
    File(Hash),
    /// A symbolic link, with its target as it is written.
    Link(&'a [u8]),
}

/// An item at another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The item, as [`Item::number`] has it.
    pub number: usize,
    /// Its path there, with `/`, relative to the root.
    pub path: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Numbers of user and group.
    pub owner: (u64, u64),
}

impl BuildContext {
    /// What is in it: each folder before what is in that. Texts that are files for the engine only are left out.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let entries = self.entries.iter().zip(&self.hashes).enumerate();
        entries.filter_map(|(number, (entry, hash))| {
            let content = match (&entry.kind, hash) {
                (Kind::Folder, _) => Content::Folder,
                (Kind::File(_), Some(hash)) => Content::File(*hash),
                (Kind::Link(target), _) => Content::Link(target),
                (Kind::File(_), None) | (Kind::Text(_), _) => return None,
            };
            Some(Item {
                path: &entry.path,
                mode: entry.mode,
                content,
                number,
            })
        })
    }

    /// The folders in which a change may change it, by their absolute paths: its own, all in it, and those of its Dockerfile
    /// and of its ignore file.
    pub fn watched(&self) -> impl Iterator<Item = PathBuf> {
        let below = self
            .entries
            .iter()
            .filter(|entry| entry.kind == Kind::Folder);
        let below = below.map(|entry| self.folder.join(Path::new(OsStr::from_bytes(&entry.path))));
        let files = [Some(&self.dockerfile_path), self.ignore_file.as_ref()];
        let files = files.into_iter().flatten().filter_map(|file| file.parent());
        std::iter::once(self.folder.clone())
            .chain(files.map(PathBuf::from))
            .chain(below)
    }

    /// Writes some items as a tar stream, as [`BuildContext::write_tar`] writes all of them.
    ///
    /// # Errors
    /// Those of [`BuildContext::write_tar`].
    pub fn write_placed(&self, placed: &[Placed], out: &mut dyn Write) -> Result<(), ContextError> {
        let members = placed.iter().filter_map(|placed| {
            Some(Member {
                entry: self.entries.get(placed.number)?,
                path: &placed.path,
                mode: placed.mode,
                owner: placed.owner,
            })
        });
        write_members(&self.folder, members, out)
    }
}
