//! Block maps that lie beside an image, by their names: where one is looked for, and how it is set aside once it is not the image's any more.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, RenameFlags, linkat, renameat_with},
    io::Errno,
};

/// What packing adds to a name.
const PACKED: [&str; 5] = ["gz", "xz", "zst", "bz2", "zip"];
/// Names that are tried for one that is set aside.
const MOST_NAMES: u32 = 100;

/// A block map of an image that was changed, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Where it was.
    pub map: PathBuf,
    /// Where it is now; why it is where it was.
    pub now: Result<PathBuf, String>,
}

/// Where a block map of an image may stand: under its name, or under that without what its packing adds. The latter is of the file of that
/// name, where there is one: the two need not be the same image.
#[must_use]
pub fn places(image: &Path) -> Vec<PathBuf> {
    let mut places = vec![with(image, ".bmap")];
    let is_packed = |end: &OsStr| PACKED.iter().any(|packed| end == *packed);
    if image.extension().is_some_and(is_packed) {
        let unpacked = image.with_extension("");
        if fs_err::metadata(&unpacked).is_err() {
            places.push(with(&unpacked, ".bmap"));
        }
    }
    places
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Gives another name to each block map that is of an image, however that is named. Whoever changes an image calls this before: whatever ends
/// it in between, no map is left that is of another image.
pub fn set_aside(names: &[&Path]) -> Vec<Aside> {
    let mut all: Vec<PathBuf> = names.iter().flat_map(|name| places(name)).collect();
    all.sort();
    all.dedup();
    let is_there = |map: &PathBuf| fs_err::symlink_metadata(map).is_ok();
    all.into_iter()
        .filter(is_there)
        .map(|map| {
            let now = renamed(&map).map_err(|error| error.to_string());
            Aside { map, now }
        })
        .collect()
}

/// Renames it to the first name that nothing has.
fn renamed(map: &Path) -> io::Result<PathBuf> {
    for number in 0..MOST_NAMES {
        let end = match number {
            0 => ".old".to_owned(),
            number => format!(".old.{number}"),
        };
        let to = with(map, &end);
        match moved(map, &to) {
            Ok(()) => return Ok(to),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn moved(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems, those of other machines among them, do not know it.
        Err(Errno::INVAL | Errno::NOSYS) => {
            linkat(CWD, from, CWD, to, AtFlags::empty())?;
            rustix::fs::unlink(from)
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_map_stands_beside_its_image() {
        let names = |image: &str| -> Vec<String> {
            let places = places(Path::new(image)).into_iter();
            places.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(names("a/b.img.xz"), ["a/b.img.xz.bmap", "a/b.img.bmap"]);
        assert_eq!(names("b.wic"), ["b.wic.bmap"]);
    }

    #[test]
    fn a_map_of_what_lies_beside_a_packed_image_is_not_the_packed_ones() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let names = ["a.img", "a.img.bmap", "a.img.xz", "a.img.xz.bmap"];
        for name in names {
            fs_err::write(at(name), name).unwrap();
        }
        let (plain, packed) = (at("a.img"), at("a.img.xz"));
        assert_eq!(places(&packed), [at("a.img.xz.bmap")]);
        let moved = |image: &Path| -> Vec<PathBuf> {
            let aside = set_aside(&[image]).into_iter();
            aside.map(|one| one.map).collect()
        };
        assert_eq!(moved(&packed), [at("a.img.xz.bmap")]);
        assert!(at("a.img.bmap").exists());
        // And the other way round.
        fs_err::write(at("a.img.xz.bmap"), "").unwrap();
        assert_eq!(moved(&plain), [at("a.img.bmap")]);
        // Once it is alone, it is the one that is meant.
        fs_err::write(at("a.img.bmap"), "").unwrap();
        fs_err::remove_file(&plain).unwrap();
        assert_eq!(moved(&packed), [at("a.img.bmap"), at("a.img.xz.bmap")]);
    }

    #[test]
    fn all_that_would_be_found_are_set_aside_and_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let image = at("a.img.gz");
        assert_eq!(set_aside(&[&image]), []);
        for round in ["first", "second"] {
            for name in ["a.img.bmap", "a.img.gz.bmap", "b.img.bmap"] {
                fs_err::write(at(name), round).unwrap();
            }
            let aside = set_aside(&[&image, &image]);
            assert_eq!(aside.len(), 2);
            assert!(aside.iter().all(|one| one.now.is_ok()), "{aside:?}");
        }
        for (name, round) in [
            ("a.img.bmap.old", "first"),
            ("a.img.gz.bmap.old", "first"),
            ("a.img.bmap.old.1", "second"),
            ("a.img.gz.bmap.old.1", "second"),
            ("b.img.bmap", "second"),
        ] {
            assert_eq!(fs_err::read_to_string(at(name)).unwrap(), round, "{name}");
        }
        assert!(!at("a.img.bmap").exists() && !at("a.img.gz.bmap").exists());
    }
}
