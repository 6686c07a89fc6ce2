//! What is put into the file system of a data partition, and how that has room for it.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
};

use super::{
    APPS, ARCHIVE, Data, Doing, FOLDER, Load, MARK, PreloadError, STATE, Told, attend::Way, medium,
    script::Script, tools,
};
use crate::image::ext4;

/// Bytes that are left beside the archive.
const SPARE: u64 = 8 << 20;
/// Bytes of what the system counts the size of a file in.
const BLOCK: u64 = 512;
/// How often a file system may have taken more for itself than it was enlarged by.
const ATTEMPTS: usize = 4;

/// Whether there is room beside the archive for what is made of it: the partition with it, and the new image with that. Holes take no room,
/// and where they are is not looked at.
pub(super) fn has_room(data: &Data, image: &File, archive: &File) -> Result<(), PreloadError> {
    let found = rustix::fs::fstatvfs(archive).map_err(io::Error::from)?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let used = image.metadata()?.blocks().saturating_mul(BLOCK);
    let needed = room(data.partition.size, used, archive.metadata()?.len());
    if free < needed {
        return Err(PreloadError::NoRoom { free, needed });
    }
    Ok(())
}

/// Bytes that are written at most, for a partition of so many in an image that takes up so many.
fn room(partition: u64, image: u64, archive: u64) -> u64 {
    let twice = archive.saturating_add(SPARE).saturating_mul(2);
    let both = image.saturating_add(partition.min(image));
    twice.saturating_add(both)
}

/// Puts everything into the file system, and reads it back.
pub(super) fn fill(
    system: &File,
    data: &Data,
    (load, size): (&Load<'_>, u64),
    (way, told): (Way<'_>, &mut Told<'_>),
) -> Result<(), PreloadError> {
    let (script, has_mark) = emptied(system)?;
    tools::edit(way, system, &script, told)?;
    let apps = kept(load.apps)?;
    let mark = tempfile::tempfile()?;
    make_room(system, data, size, (way, told))?;
    told(Doing::Loading)?;
    let mut script = Script::default();
    script.write(APPS, &apps);
    if !has_mark {
        script.write(MARK, &mark);
    }
    script.enter(&format!("/{FOLDER}"));
    script.write(ARCHIVE, load.archive);
    tools::edit(way, system, &script, told)?;
    told(Doing::Reading)?;
    tools::check(way, system, told)?;
    let (medium, whole) = medium(system)?;
    for (path, file) in [
        (format!("/{APPS}"), &apps),
        (format!("/{FOLDER}/{ARCHIVE}"), load.archive),
    ] {
        let is_same = ext4::holds(&medium, &whole, &path, file, &mut || told(Doing::Reading))?;
        if !is_same {
            return Err(PreloadError::Differs(path));
        }
    }
    Ok(())
}

/// Bytes in a file that has no name.
fn kept(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    Ok(file)
}

/// What removes what was preloaded before and makes what is missing, and whether the mark is there.
fn emptied(system: &File) -> Result<(Script, bool), PreloadError> {
    let (medium, whole) = medium(system)?;
    if ext4::has(&medium, &whole, STATE)? {
        return Err(PreloadError::Used);
    }
    let occupied = |name: &str| PreloadError::Occupied(name.to_owned());
    let mut script = Script::default();
    let mut has_mark = false;
    let mut has_folder = false;
    let entries =
        |folder: &str| ext4::entries(&medium, &whole, folder)?.ok_or(PreloadError::Unread);
    for entry in entries("/")? {
        match (entry.name.as_str(), entry.kind) {
            (APPS, ext4::Kind::File) => script.remove(&format!("/{APPS}")),
            (FOLDER, ext4::Kind::Folder) => has_folder = true,
            (APPS | FOLDER, _) => return Err(occupied(&entry.name)),
            (MARK, _) => has_mark = true,
            _ => {}
        }
    }
    if !has_folder {
        script.make_folder(&format!("/{FOLDER}"));
        return Ok((script, has_mark));
    }
    let path = format!("/{FOLDER}");
    for entry in entries(&path)? {
        // What is handed on to a program has nothing in it that would mean something there.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_ours = entry.kind == ext4::Kind::File && entry.name.bytes().all(is_plain);
        if !is_ours {
            return Err(occupied(&format!("{FOLDER}/{}", entry.name)));
        }
        script.remove(&format!("{path}/{}", entry.name));
    }
    Ok((script, has_mark))
}

/// Lets the file system have room for so many bytes, if it has not.
fn make_room(
    system: &File,
    data: &Data,
    bytes: u64,
    (way, told): (Way<'_>, &mut Told<'_>),
) -> Result<(), PreloadError> {
    let needed = bytes.saturating_add(bytes / 100).saturating_add(SPARE);
    for _ in 0..ATTEMPTS {
        let (medium, whole) = medium(system)?;
        let room = ext4::room(medium.as_ref(), &whole).ok_or(PreloadError::Unread)?;
        let missing = needed.saturating_sub(room);
        if missing == 0 {
            return Ok(());
        }
        if data.is_followed {
            return Err(PreloadError::Followed { missing });
        }
        system.set_len(data.grown(whole.size, missing))?;
        tools::grow(way, system, told)?;
    }
    Err(PreloadError::TooSmall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_the_archive_there_is_room_for_a_partition_and_an_image_with_it() {
        let mib = |count: u64| count << 20;
        assert_eq!(room(mib(40), mib(100), mib(1000)), mib(2156));
        // What is not there is not copied.
        assert_eq!(room(mib(4000), mib(100), mib(1000)), mib(2216));
        assert_eq!(room(u64::MAX, u64::MAX, u64::MAX), u64::MAX);
    }
}
