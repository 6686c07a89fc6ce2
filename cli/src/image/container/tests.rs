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

fn length(path: &Path) -> Result<Length, ContainerError> {
    Packed::open(path)?.length()
}

/// A packer that knows the size beforehand, as it does of a file.
fn sized(bytes: &[u8]) -> Vec<u8> {
    pack(
        &[
            "zstd",
            "-c",
            "-q",
            &format!("--stream-size={}", bytes.len()),
        ],
        bytes,
    )
}

#[test]
fn how_long_an_image_is_is_known_as_far_as_its_file_says_it() {
    let made = Made::new();
    let size = made.size();
    let of = |bytes: &[u8]| length(&made.hold(bytes)).unwrap();
    assert_eq!(of(&made.image), Length::Exactly(size));
    for (format, program) in PROGRAMS {
        let found = of(&made.packed(program));
        match format {
            Format::Xz | Format::Zip => assert_eq!(found, Length::Exactly(size), "{program:?}"),
            Format::Gzip => assert_eq!(found, Length::AtLeast(size)),
            Format::Bzip2 => assert_eq!(found, Length::UNKNOWN),
            // From a pipe it is not said; what does not shrink stands there as it is.
            Format::Zstd => {
                let (Length::AtLeast(least), None) = (found, found.exact()) else {
                    panic!("{found}");
                };
                assert!((1..=size).contains(&least), "{least} of {size}");
            }
            Format::Raw => unreachable!(),
        }
        assert!(found.may_be(size) && found.least() <= size, "{program:?}");
    }
    assert_eq!(of(&sized(&made.image)), Length::Exactly(size));
    // Noted in one byte, two, four and eight, and of a frame with a window of its own.
    for size in [1, 255, 256, 65_791, 65_792] {
        assert_eq!(
            of(&sized(&made.image[..size])),
            Length::Exactly(u64::try_from(size).unwrap())
        );
    }
    let again = made.dir.path().join("again");
    let packed = Packed::open(&made.hold(&sized(&made.image))).unwrap();
    repack(&packed, File::create(&again).unwrap(), &[], &mut |_| Ok(())).unwrap();
    assert_eq!(length(&again).unwrap(), Length::Exactly(size));
}

#[test]
fn what_was_packed_in_pieces_has_the_length_of_all_of_them() {
    let made = Made::new();
    let size = made.size();
    let (one, two) = made.image.split_at(MIB);
    let xz = |bytes: &[u8]| pack(&["xz", "-c", "-1"], bytes);
    let skipped = [&[0x5F, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let pad = [0; 8].as_slice();
    for all in [
        [&xz(one)[..], &xz(two)].concat(),
        [&xz(one)[..], pad, &xz(b""), &xz(two), pad].concat(),
        [sized(one), sized(two)].concat(),
        [sized(one), skipped.clone(), sized(two), skipped].concat(),
    ] {
        let path = made.hold(&all);
        assert_eq!(length(&path).unwrap(), Length::Exactly(size));
        assert!(unpacked(&path).unwrap() == made.image);
    }
    let gzip = |bytes: &[u8]| pack(&["gzip", "-c"], bytes);
    let path = made.hold(&[gzip(one), gzip(two)].concat());
    let last = u64::try_from(two.len()).unwrap();
    assert_eq!(length(&path).unwrap(), Length::AtLeast(last));
}

#[test]
fn what_was_cut_off_is_seen_without_unpacking_it() {
    let made = Made::new();
    for packed in [
        made.packed(&["xz", "-c", "-1", "--block-size=1MiB"]),
        made.packed(&["zstd", "-c", "-q"]),
        sized(&made.image),
    ] {
        for left in [1, 2, 4, 9, 100, packed.len() / 2, packed.len() - 10] {
            let path = made.hold(&packed[..packed.len() - left]);
            let found = length(&path);
            assert!(found.is_err(), "{left}: {found:?}");
            assert!(unpacked(&path).is_err());
            // Something else is behind it.
            let path = made.hold(&[&packed[..], &vec![7; left]].concat());
            let found = length(&path);
            assert!(found.is_err(), "{left}: {found:?}");
            assert!(unpacked(&path).is_err());
        }
    }
}

#[test]
fn a_length_that_is_a_lie_is_told_at_the_end_at_the_latest() {
    let made = Made::new();
    // The size in the header of a frame: behind its magic number and what describes it.
    let mut frame = sized(&made.image);
    assert_eq!(frame[4] >> 6, 2, "four bytes");
    let place = 4 + 1 + usize::from(frame[4] & 0x20 == 0);
    let own = frame[place..place + 4].to_vec();
    assert_eq!(own, u32::try_from(made.size()).unwrap().to_le_bytes());
    for says in [1_u32, u32::MAX] {
        frame[place..place + 4].copy_from_slice(&says.to_le_bytes());
        let path = made.hold(&frame);
        assert_eq!(length(&path).unwrap(), Length::Exactly(says.into()));
        assert!(unpacked(&path).is_err());
    }
    // The size in the list at the end of a stream, with the right checksum.
    let mut stream = pack(&["xz", "-c", "-1"], b"words");
    let index = stream.len() - 12 - 8;
    assert_eq!(stream[index..index + 2], [0, 1]);
    stream[index + 3] = 100;
    let sum = crc32fast::hash(&stream[index..index + 4]);
    stream[index + 4..index + 8].copy_from_slice(&sum.to_le_bytes());
    let path = made.hold(&stream);
    assert_eq!(length(&path).unwrap(), Length::Exactly(100));
    assert!(unpacked(&path).is_err());
    // More than there can be.
    let most = [&[0x28, 0xB5, 0x2F, 0xFD, 0xE0][..], &[0xFF; 8], &[1, 0, 0]].concat();
    let one = made.hold(&most);
    assert_eq!(length(&one).unwrap(), Length::Exactly(u64::MAX));
    let error = length(&made.hold(&most.repeat(2))).unwrap_err();
    let error = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.contains("more than there can be"), "{error}");
}

/// Files of which the length is told by all that a format has for it.
fn told() -> [Vec<u8>; 4] {
    let bytes = [noise(3000, 5), vec![0; 200_000], noise(500, 6)].concat();
    let skipped = [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let xz = pack(&["xz", "-c", "-0", "--block-size=64KiB"], &bytes);
    let twice = [&xz[..], &[0; 4], &xz, &[0; 8]].concat();
    let unsized_frame = pack(&["zstd", "-c", "-q"], &bytes);
    [
        twice,
        [sized(&bytes), skipped, sized(&bytes)].concat(),
        [unsized_frame, sized(&bytes)].concat(),
        pack(&["gzip", "-c"], &bytes),
    ]
}

proptest::proptest! {
    #[test]
    fn what_unpacks_to_its_end_is_as_long_as_it_was_said_to_be(
        which in 0_usize..4,
        changes in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0_u8..=255), 0..4),
        end in proptest::prelude::any::<proptest::sample::Index>(),
        is_cut in 0_u8..4,
    ) {
        static TOLD: std::sync::LazyLock<[Vec<u8>; 4]> = std::sync::LazyLock::new(told);
        let mut bytes = TOLD[which].clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if is_cut == 0 {
            bytes.truncate(end.index(bytes.len()));
        }
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &bytes).unwrap();
        let packed = Packed::of(file, Path::new("image")).unwrap();
        let length = packed.length();
        let mut all = Vec::new();
        let read = Unpacked::new(&packed)
            .map_err(io::Error::other)
            .and_then(|unpacked| unpacked.take(4 * BIG).read_to_end(&mut all));
        if read.is_ok() {
            let size = u64::try_from(all.len()).unwrap();
            proptest::prop_assert!(length.unwrap().may_be(size));
        }
    }
}
