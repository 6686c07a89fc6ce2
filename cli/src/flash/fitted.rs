//! Which block map fitted a packed image when that was written by it. Where the unpacked file lies beside the packed one, the map of its name
//! may be of either; the one by which the packed one was written is its, too, as long as neither changes.
//!
//! In: an image, its map. Out: a note in a folder, which may be lost at any time: then the map is passed over.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    Image,
    bmap::{self, Bmap},
};

/// Bytes of a note.
const LENGTH: usize = 64;

/// Notes that an image of this identity was written, and fitted to its map all along. Only of a map that would be passed over the next time.
pub(super) fn note(folder: &Path, image: &Image, identity: &str, (path, bmap): (&Path, &Bmap)) {
    let real = |path: &Path| fs_err::canonicalize(path).ok();
    let of_other = image.map_passed_over().and_then(|map| real(&map));
    if of_other.is_none() || of_other != real(path) {
        return;
    }
    let write = || -> io::Result<()> {
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::Write::write_all(&mut file, said(identity, bmap).as_bytes())?;
        file.persist(place(folder, path)?)?;
        Ok(())
    };
    drop(write());
}

/// The block map that would be passed over, where the image was written by it and neither has changed since.
#[must_use]
pub fn fitted(folder: &Path, image: &Image) -> Option<(PathBuf, Bmap)> {
    let map = image.map_passed_over()?;
    let file = fs_err::File::open(place(folder, &map).ok()?).ok()?;
    let mut noted = String::new();
    let most = u64::try_from(LENGTH).unwrap_or_default();
    file.take(most).read_to_string(&mut noted).ok()?;
    let identity = image.identity().ok()??;
    let bmap = bmap::at(&map).ok()?;
    (noted == said(&identity, &bmap)).then_some((map, bmap))
}

/// A note for each map.
fn place(folder: &Path, map: &Path) -> io::Result<PathBuf> {
    let real = fs_err::canonicalize(map)?;
    let name = blake3::hash(real.as_os_str().as_encoded_bytes()).to_hex();
    let name = name.get(..16).unwrap_or_default();
    Ok(folder.join(format!("{name}.fitted")))
}

fn said(image: &str, bmap: &Bmap) -> String {
    let all = format!("1\n{image}\n{}", bmap.identity());
    blake3::hash(all.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_of_an_image_that_was_written_by_it_until_one_of_them_changes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let map = |last: &str| {
            format!(
                "<bmap version=\"2.0\"><ImageSize>8192</ImageSize><BlockSize>4096</BlockSize><BlockMap><Range>{last}</Range></BlockMap></bmap>"
            )
        };
        let notes = at("notes");
        let image = || Image::open(&at("a.img.gz")).unwrap();
        let write = || {
            let (image, map) = (image(), at("a.img.bmap"));
            let identity = image.identity().unwrap().unwrap();
            let bmap = bmap::at(&map).unwrap();
            note(&notes, &image, &identity, (&map, &bmap));
        };
        let is_fitted = || fitted(&notes, &image()).map(|(map, _)| map);
        fs_err::write(at("a.img.gz"), "packed").unwrap();
        fs_err::write(at("a.img.bmap"), map("0")).unwrap();
        // Nothing is passed over yet.
        write();
        assert!(!notes.exists());
        fs_err::write(at("a.img"), "unpacked").unwrap();
        assert_eq!(is_fitted(), None);
        write();
        assert_eq!(is_fitted(), Some(at("a.img.bmap")));
        for (name, other, same) in [
            ("a.img.bmap", map("0-1"), map("0")),
            ("a.img.bmap", "<bmap".to_owned(), map("0")),
        ] {
            fs_err::write(at(name), other).unwrap();
            assert_eq!(is_fitted(), None);
            fs_err::write(at(name), same).unwrap();
            assert_eq!(is_fitted(), Some(at("a.img.bmap")));
        }
        fs_err::write(at("a.img.gz"), "another").unwrap();
        assert_eq!(is_fitted(), None);
        // One that is called in another way is none that is passed over.
        fs_err::write(at("b.bmap"), map("0")).unwrap();
        fs_err::remove_dir_all(&notes).unwrap();
        let (image, bmap) = (image(), bmap::at(&at("b.bmap")).unwrap());
        note(&notes, &image, "", (&at("b.bmap"), &bmap));
        assert!(!notes.exists());
    }
}
