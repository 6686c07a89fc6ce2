//! Block maps that lie beside an image, by their names: where one is looked for, and how it is set aside once it is not the image's any more.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, RenameFlags, linkat, renameat_with},
    io::Errno,
};

use super::container::PACKED;

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

/// Where the block map of an image is looked for: under its name, or under that without what its packing adds. The latter is of the file of
/// that name, where there is one: the two need not be the same image.
#[must_use]
pub fn places(image: &Path) -> Vec<PathBuf> {
    let unpacked = unpacked(image).filter(|unpacked| !unpacked.is_file());
    named_after(image, unpacked.as_deref())
}

/// The block map of the file that a packed image becomes, where both are there: it is not looked at for the packed one.
#[must_use]
pub fn passed_over(image: &Path) -> Option<PathBuf> {
    let unpacked = unpacked(image)?;
    let map = with(&unpacked, ".bmap");
    (unpacked.is_file() && map.is_file()).then_some(map)
}

/// Where one may stand, whatever lies beside the image now: that may be gone when somebody looks.
fn all_places(image: &Path) -> Vec<PathBuf> {
    named_after(image, unpacked(image).as_deref())
}

fn named_after(image: &Path, unpacked: Option<&Path>) -> Vec<PathBuf> {
    let names = [Some(image), unpacked].into_iter().flatten();
    names.map(|name| with(name, ".bmap")).collect()
}

/// The name without what packing adds.
fn unpacked(image: &Path) -> Option<PathBuf> {
    let end = image.extension()?.to_str()?;
    let is_packed = PACKED
        .iter()
        .any(|packed| packed.strip_prefix('.') == Some(end));
    is_packed.then(|| image.with_extension(""))
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Gives another name to each block map that whoever writes an image might take for its own, by the name that it was called by and by that
/// of the file where a link leads. Whoever changes an image, or makes one, calls this before: whatever ends it in between, no map is left that
/// is of another image. One too many costs nothing but time. `fits` is by what the image is being written, and stays.
pub fn set_aside(image: &Path, fits: Option<&Path>) -> Vec<Aside> {
    let mut all = all_places(image);
    all.extend(
        fs_err::canonicalize(image)
            .iter()
            .flat_map(|path| all_places(path)),
    );
    all.sort();
    all.dedup();
    let fits = fits.and_then(|map| fs_err::canonicalize(map).ok());
    let is_there = |map: &PathBuf| fs_err::symlink_metadata(map).is_ok();
    let is_stale = |map: &PathBuf| fits.is_none() || fits != fs_err::canonicalize(map).ok();
    all.into_iter()
        .filter(|map| is_there(map) && is_stale(map))
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
        assert_eq!(names("b.img.zstd"), ["b.img.zstd.bmap", "b.img.bmap"]);
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
        assert_eq!(passed_over(&packed), Some(at("a.img.bmap")));
        assert_eq!(passed_over(&plain), None);
        // Once it is alone, it is the one that is meant.
        fs_err::remove_file(&plain).unwrap();
        assert_eq!(places(&packed), [at("a.img.xz.bmap"), at("a.img.bmap")]);
        assert_eq!(passed_over(&packed), None);
    }

    #[test]
    fn what_would_be_taken_for_the_map_later_is_set_aside_now() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.img", "a.img.bmap", "a.img.xz", "a.img.xz.bmap"] {
            fs_err::write(at(name), name).unwrap();
        }
        let (plain, packed) = (at("a.img"), at("a.img.xz"));
        let moved = |image: &Path, fits: Option<&Path>| -> Vec<PathBuf> {
            let aside = set_aside(image, fits).into_iter();
            aside.map(|one| one.map).collect()
        };
        // As soon as what lies beside it is removed, its map is looked at for the packed one.
        let both = [at("a.img.bmap"), at("a.img.xz.bmap")];
        assert_eq!(moved(&packed, None), both);
        fs_err::remove_file(&plain).unwrap();
        assert!(places(&packed).iter().all(|map| !map.exists()));
        // That of the packed one is never looked at for the other.
        for map in &both {
            fs_err::write(map, "").unwrap();
        }
        assert_eq!(moved(&plain, None), [at("a.img.bmap")]);
        // By a link, and with one that is in use.
        std::os::unix::fs::symlink("a.img.xz", at("link")).unwrap();
        for name in ["a.img.bmap", "link.bmap"] {
            fs_err::write(at(name), "").unwrap();
        }
        std::os::unix::fs::symlink("a.img.bmap", at("other")).unwrap();
        let moved_now = moved(&at("link"), Some(&at("other")));
        assert_eq!(moved_now, [at("a.img.xz.bmap"), at("link.bmap")]);
        assert!(at("a.img.bmap").exists());
        // What is in use elsewhere, or is nowhere, keeps none.
        assert_eq!(moved(&packed, Some(&at("none"))), [at("a.img.bmap")]);
    }

    #[test]
    fn all_that_would_be_found_are_set_aside_and_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let image = at("a.img.gz");
        assert_eq!(set_aside(&image, None), []);
        for round in ["first", "second"] {
            for name in ["a.img.bmap", "a.img.gz.bmap", "b.img.bmap"] {
                fs_err::write(at(name), round).unwrap();
            }
            let aside = set_aside(&image, None);
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
