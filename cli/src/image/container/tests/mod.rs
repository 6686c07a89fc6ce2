mod length;
mod parts;
mod repack;
mod spool;

use std::process::{Command, Stdio};

use fs_err as fs;

use super::*;

const MIB: usize = 1024 * 1024;
const BIG: u64 = 1024 * 1024;

/// A folder with an image of 4 MiB: noise, then zeros, then noise.
struct Made {
    dir: tempfile::TempDir,
    image: Vec<u8>,
}

/// A program of Debian that packs its input, and what it is told.
const PROGRAMS: [(Format, &[&str]); 6] = [
    (Format::Gzip, &["gzip", "-c"]),
    (Format::Xz, &["xz", "-c", "-1"]),
    (Format::Xz, &["xz", "-c", "-1", "--block-size=1MiB"]),
    (Format::Zstd, &["zstd", "-c", "-q"]),
    (Format::Bzip2, &["bzip2", "-c"]),
    (Format::Zip, &["zip", "-q", "-", "-"]),
];

fn noise(bytes: usize, mut seed: u32) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

impl Made {
    fn new() -> Self {
        let image = [noise(200_077, 1), vec![0; 4 * MIB], noise(100_000, 2)].concat();
        let dir = tempfile::tempdir().unwrap();
        Self { dir, image }
    }

    fn size(&self) -> u64 {
        u64::try_from(self.image.len()).unwrap()
    }

    fn packed(&self, program: &[&str]) -> Vec<u8> {
        pack(program, &self.image)
    }

    fn hold(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("image");
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn pack(program: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut input = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut input, bytes).unwrap();
    io::Seek::rewind(&mut input).unwrap();
    let output = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::from(input))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program[0]));
    assert!(output.status.success(), "{program:?}");
    output.stdout
}

fn opened(path: &Path) -> Result<Unpacked, ContainerError> {
    Unpacked::new(&Packed::open(path)?)
}

fn unpacked(path: &Path) -> Result<Vec<u8>, String> {
    let mut unpacked = opened(path).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    match unpacked.read_to_end(&mut all) {
        Ok(_) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn what_other_programs_packed_is_unpacked() {
    let made = Made::new();
    assert!(unpacked(&made.hold(&made.image)).unwrap() == made.image);
    for (format, program) in PROGRAMS {
        let path = made.hold(&made.packed(program));
        assert_eq!(opened(&path).unwrap().format, format);
        assert!(unpacked(&path).unwrap() == made.image, "{program:?}");
    }
}

#[test]
fn what_was_packed_in_pieces_is_one_image() {
    let made = Made::new();
    let (one, two) = made.image.split_at(MIB);
    for (_, program) in &PROGRAMS[..5] {
        let path = made.hold(&[pack(program, one), pack(program, two)].concat());
        assert!(unpacked(&path).unwrap() == made.image, "{program:?}");
    }
}

#[test]
fn what_was_cut_off_is_never_less_of_an_image() {
    let made = Made::new();
    for (_, program) in PROGRAMS {
        let packed = made.packed(program);
        for length in [packed.len() - 1, packed.len() - 9, packed.len() / 2, 20] {
            let path = made.hold(&packed[..length]);
            let error = unpacked(&path).unwrap_err();
            assert!(!error.is_empty(), "{program:?} of {length}");
        }
    }
}

#[test]
fn what_was_damaged_is_told() {
    let made = Made::new();
    for (_, program) in PROGRAMS {
        let good = made.packed(program);
        for place in [good.len() / 3, good.len() / 2] {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            let read = unpacked(&made.hold(&bad));
            // zip stores and gzip packs noise as it is: only the checksum tells, at the end.
            assert!(read.is_err(), "{program:?} at {place}");
        }
    }
}

#[test]
fn an_archive_that_lies_about_its_length_is_told() {
    let made = Made::new();
    let good = made.packed(&["zip", "-q", "-", "-"]);
    let at = |signature: &[u8]| good.windows(4).rposition(|four| four == signature).unwrap();
    // The length of the image, in the directory at the end.
    let place = at(b"PK\x01\x02") + 24;
    for (length, words) in [(100_u32, "longer"), (0x0FFF_FFFF, "fewer")] {
        let mut bad = good.clone();
        bad[place..place + 4].copy_from_slice(&length.to_le_bytes());
        let error = unpacked(&made.hold(&bad)).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_archive_of_an_image_and_its_notes_is_understood_and_one_of_two_images_is_not() {
    let made = Made::new();
    let file = |name: &str, bytes: &[u8]| fs::write(made.dir.path().join(name), bytes).unwrap();
    file("disk.IMG", &made.image);
    file("README", b"notes");
    file("other.wic", b"another");
    let zip = |names: &[&str]| {
        let path = made.dir.path().join("made.zip");
        drop(fs::remove_file(&path));
        let status = Command::new("zip")
            .arg("-q")
            .arg(&path)
            .args(names)
            .current_dir(made.dir.path())
            .status()
            .unwrap();
        assert!(status.success());
        path
    };
    assert!(unpacked(&zip(&["README", "disk.IMG"])).unwrap() == made.image);
    let error = unpacked(&zip(&["other.wic", "disk.IMG"])).unwrap_err();
    assert!(
        error.contains("2 files") && error.contains("disk.IMG"),
        "{error}"
    );
}
