//! How long an image is, by what its file says.

use super::*;

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
            Format::Gzip => assert_eq!(found, Length::Said(size)),
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
    assert_eq!(length(&path).unwrap(), Length::Said(last));
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

#[test]
fn what_stands_behind_gzip_is_no_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gz");
    let mut bytes = pack(&["gzip", "-c"], &[7; 5000]);
    fs_err::write(&path, &bytes).unwrap();
    assert_eq!(length(&path).unwrap(), Length::Said(5000));
    bytes.extend([0, 0, 1, 0xE4]);
    fs_err::write(&path, &bytes).unwrap();
    assert_eq!(length(&path).unwrap(), Length::UNKNOWN);
}

#[test]
fn gzip_never_says_more_than_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.gz");
    let gzip = |count: usize| pack(&["gzip", "-c"], &vec![7; count]);
    for (parts, size) in [
        (gzip(70_000), 70_000),
        ([gzip(70_000), gzip(3)].concat(), 70_003),
        ([gzip(3), gzip(0x0102_0304)].concat(), 0x0102_0307),
    ] {
        for zeros in 0..6 {
            fs_err::write(&path, [&parts[..], &vec![0; zeros]].concat()).unwrap();
            assert_eq!(unpacked(&path).unwrap().len(), size);
            let found = length(&path).unwrap().least();
            assert!(
                found <= u64::try_from(size).unwrap(),
                "{found} {size} {zeros}"
            );
        }
    }
}

#[test]
fn zstd_may_begin_with_a_part_that_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zst");
    let mut bytes = vec![0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
    bytes.extend(sized(&[7; 5000]));
    fs_err::write(&path, &bytes).unwrap();
    let packed = Packed::open(&path).unwrap();
    assert_eq!(packed.format().unwrap(), Format::Zstd);
    assert_eq!(packed.length().unwrap(), Length::Exactly(5000));
    let mut content = Vec::new();
    Unpacked::new(&packed)
        .unwrap()
        .read_to_end(&mut content)
        .unwrap();
    assert_eq!(content, [7; 5000]);
}

#[test]
fn what_a_cut_file_says_at_its_end_is_no_verdict() {
    let made = Made::new();
    let packed = made.packed(&["gzip", "-c"]);
    for left in [1, 5, 9, 100, packed.len() / 2] {
        let found = length(&made.hold(&packed[..packed.len() - left])).unwrap();
        assert_eq!(found.exact(), None);
        for size in [1, made.size(), u64::MAX] {
            assert!(found.may_be(size), "{found}");
        }
    }
}
