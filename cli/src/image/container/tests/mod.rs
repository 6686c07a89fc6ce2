mod length;
mod parts;

use std::process::{Command, Stdio};

use fs_err as fs;

use super::*;
use crate::image::ReadAt as _;

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
fn a_packed_image_is_unpacked_only_as_far_as_it_is_read() {
    let made = Made::new();
    for (format, program) in PROGRAMS {
        let path = made.hold(&made.packed(program));
        let spool =
            Spool::new(opened(&path).unwrap(), made.dir.path(), Box::new(|| Ok(()))).unwrap();
        let some = spool.bytes(200_000, 100).unwrap();
        assert_eq!(some, made.image[200_000..200_100]);
        assert_eq!(spool.unpacked(), BIG, "{format:?}");
        assert_eq!(spool.bytes(0, 10).unwrap(), made.image[..10]);
        // What is only zeros takes no room, and is there all the same.
        assert_eq!(spool.bytes(3 * BIG, 100).unwrap(), [0; 100]);
        assert_eq!(spool.held(), BIG, "{format:?}");
        let end = made.size();
        assert_eq!(
            spool.bytes(end - 1, 1).unwrap(),
            made.image[made.image.len() - 1..]
        );
        let beyond = spool.bytes(end - 1, 2).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof, "{format:?}");
        assert_eq!(spool.size(), end, "{format:?}");
    }
}

#[test]
fn a_bomb_takes_neither_memory_nor_room() {
    let made = Made::new();
    // 1 GiB of one letter is 1 MB of gzip, 50 kB of zstd.
    let script = "yes | head -c 256M | tr -d '\\n' | zstd -q -c";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    let path = made.hold(&output.stdout);
    let source = opened(&path).unwrap();
    let spool = Spool::bounded(source, made.dir.path(), 8 * BIG, Box::new(|| Ok(()))).unwrap();
    let error = spool.bytes(100 * BIG, 1).unwrap_err();
    assert!(error.to_string().contains("8 MiB"), "{error}");
    assert!(spool.held() <= 8 * BIG);
    assert!(spool.unpacked() <= 9 * BIG);
    // What asks for more memory than any image needs is refused before it gets it.
    let greedy = pack(&["xz", "-c", "--lzma2=preset=0,dict=1GiB"], b"x");
    let refused = unpacked(&made.hold(&greedy)).unwrap_err();
    assert!(refused.contains("memory"), "{refused}");
    let greedy = Command::new("sh")
        .args([
            "-c",
            "head -c 300M /dev/zero | zstd -q -c --ultra --long=30 -1",
        ])
        .output()
        .unwrap();
    let refused = unpacked(&made.hold(&greedy.stdout)).unwrap_err();
    assert!(refused.contains("memory"), "{refused}");
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

#[test]
fn a_packed_image_is_packed_again_with_what_was_changed_in_it() {
    let made = Made::new();
    let patches = [
        (5_u64, vec![1; 10]),
        (10, vec![2; 3]),
        (BIG - 2, vec![3; 4]),
    ];
    let mut expected = made.image.clone();
    for (offset, bytes) in &patches {
        let offset = usize::try_from(*offset).unwrap();
        expected[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    for (format, program) in PROGRAMS {
        let path = made.hold(&made.packed(program));
        let to = made.dir.path().join("to");
        let file = File::create(&to).unwrap();
        repack(&Packed::open(&path).unwrap(), file, &patches, &mut |_| {
            Ok(())
        })
        .unwrap();
        assert_eq!(opened(&to).unwrap().format, format);
        assert!(unpacked(&to).unwrap() == expected, "{program:?}");
        // Others can unpack it, too.
        let name = to.display().to_string();
        let other: &[&str] = match format {
            Format::Zip => &["unzip", "-p"],
            _ => &[program[0], "-d", "-c"],
        };
        let by_other = Command::new(other[0])
            .args(&other[1..])
            .args((format != Format::Zip).then_some("-f"))
            .arg(&name)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&by_other.stderr);
        let found = if by_other.status.success() {
            by_other.stdout
        } else {
            // gzip and bzip2 want a name that ends as theirs do.
            pack(&[program[0], "-d", "-c"], &fs::read(&to).unwrap())
        };
        assert!(found == expected, "{program:?}: {words}");
    }
}

#[test]
fn what_is_beside_an_image_stays_in_its_archive() {
    let made = Made::new();
    fs::write(made.dir.path().join("disk.img"), &made.image).unwrap();
    fs::write(made.dir.path().join("README"), b"notes").unwrap();
    let path = made.dir.path().join("made.zip");
    let status = Command::new("zip")
        .args(["-q", "made.zip", "README", "disk.img"])
        .current_dir(made.dir.path())
        .status();
    assert!(status.unwrap().success());
    let to = made.dir.path().join("to.zip");
    let file = File::create(&to).unwrap();
    repack(
        &Packed::open(&path).unwrap(),
        file,
        &[(0, vec![9])],
        &mut |_| Ok(()),
    )
    .unwrap();
    let listed = Command::new("unzip")
        .arg("-p")
        .arg(&to)
        .arg("README")
        .output()
        .unwrap();
    assert_eq!(listed.stdout, b"notes");
    let tested = Command::new("unzip").arg("-tq").arg(&to).status().unwrap();
    assert!(tested.success());
    assert_eq!(unpacked(&to).unwrap()[..2], [9, made.image[1]]);
}

#[test]
fn nothing_is_packed_of_a_source_that_ends_early() {
    let made = Made::new();
    for (_, program) in PROGRAMS {
        let packed = made.packed(program);
        let path = made.hold(&packed[..packed.len() - 3]);
        let result = repack(
            &Packed::open(&path).unwrap(),
            tempfile::tempfile().unwrap(),
            &[],
            &mut |_| Ok(()),
        );
        assert!(result.is_err(), "{program:?}");
        let path = made.hold(&packed);
        let beyond = [(made.size(), vec![1])];
        let result = repack(
            &Packed::open(&path).unwrap(),
            tempfile::tempfile().unwrap(),
            &beyond,
            &mut |_| Ok(()),
        );
        assert!(result.is_err(), "{program:?}");
        let stop = repack(
            &Packed::open(&path).unwrap(),
            tempfile::tempfile().unwrap(),
            &[],
            &mut |_| Err(io::ErrorKind::Interrupted.into()),
        );
        assert!(stop.is_err(), "{program:?}");
    }
}

/// A file that takes so many bytes.
struct Narrow {
    file: std::fs::File,
    left: usize,
}

impl io::Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl io::Seek for Narrow {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn a_disk_that_is_full_ends_it_with_an_error_at_every_byte() {
    let made = Made::new();
    for (_, program) in PROGRAMS {
        let packed = made.packed(program);
        let path = made.hold(&packed);
        for room in [0, 1, 10, 50, packed.len() / 2, packed.len() - 20_000] {
            let file = tempfile::tempfile().unwrap();
            let narrow = Narrow { file, left: room };
            let error =
                repack(&Packed::open(&path).unwrap(), narrow, &[], &mut |_| Ok(())).unwrap_err();
            let ContainerError::Pack { source, .. } = error else {
                panic!("{program:?}: {error}");
            };
            assert_eq!(
                source.kind(),
                io::ErrorKind::StorageFull,
                "{program:?} {room}"
            );
        }
        assert!(fs::read(&path).unwrap() == packed, "{program:?}");
    }
}

#[test]
fn a_spool_that_failed_once_fails_for_good() {
    let made = Made::new();
    // Noise that has no room, and behind it zeros, which would take none.
    let packed = pack(
        &["gzip", "-c"],
        &[noise(2 * MIB, 3), vec![0; 4 * MIB]].concat(),
    );
    let path = made.hold(&packed);
    let source = opened(&path).unwrap();
    let spool = Spool::bounded(source, made.dir.path(), BIG, Box::new(|| Ok(()))).unwrap();
    let first = spool.bytes(BIG + 10, 4).unwrap_err().to_string();
    let again = spool.bytes(BIG + 10, 4).unwrap_err().to_string();
    assert_eq!(first, again);
    assert_eq!(spool.bytes(10, 4).unwrap(), noise(2 * MIB, 3)[10..14]);
}

#[test]
fn a_spool_asks_before_each_piece_whether_to_go_on() {
    let made = Made::new();
    let path = made.hold(&made.packed(&["gzip", "-c"]));
    let left = AtomicU64::new(2);
    let go_on = move || match left.fetch_sub(1, Ordering::Relaxed) {
        0 => Err(io::ErrorKind::Interrupted.into()),
        _ => Ok(()),
    };
    let source = opened(&path).unwrap();
    let spool = Spool::new(source, made.dir.path(), Box::new(go_on)).unwrap();
    let error = spool.bytes(made.size() - 1, 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert_eq!(spool.unpacked(), 2 * BIG);
    assert_eq!(spool.end().unwrap_err().kind(), io::ErrorKind::Interrupted);
}
