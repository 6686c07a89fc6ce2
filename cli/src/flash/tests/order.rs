//! What is written and what is not: block maps, blocks of other sizes, what was there before.

use super::{
    super::{
        DriveError,
        bmap::{Mapping, Sum},
        write::{Counts, Writer},
    },
    *,
};

pub(super) fn bmap_of(image: &[u8], ranges: &[Range<u64>], says: Option<u64>) -> Bmap {
    let slice = |range: &Range<u64>| {
        &image[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
    };
    let sum = |range: &Range<u64>| {
        let digest = ring::digest::digest(&ring::digest::SHA256, slice(range));
        Some(digest.as_ref().to_vec())
    };
    let ranges = ranges.iter().map(|range| Mapping {
        range: range.clone(),
        sum: sum(range),
    });
    Bmap {
        size: says.unwrap_or(u64::try_from(image.len()).unwrap()),
        kind: Sum::Sha256,
        ranges: ranges.collect(),
    }
}

fn write(
    fake: &Fake,
    from: u64,
    messages: &Receiver<Message>,
) -> (Result<(), DriveError>, Counts, Heard) {
    let mut heard = Heard::default();
    let mut writer = Writer::new(fake, &mut heard, from, AT_ONCE);
    let result = writer.write(messages);
    let counts = writer.counts;
    (result, counts, heard)
}

#[test]
fn images_of_all_sizes_come_whole_and_the_drives_end_is_cleared() {
    let large = image();
    for size in [
        512,
        4096,
        MIB,
        4 * MIB - 512,
        4 * MIB,
        4 * MIB + 512,
        5 * MIB,
        8 * MIB,
        large.len(),
    ] {
        for block in [512, 4096] {
            let mut fake = Fake::new(noise(DRIVE, 5));
            fake.block = block;
            let (result, counts, _) = write(&fake, 0, &whole(&large[..size]));
            result.unwrap_or_else(|error| panic!("{size}: {error}"));
            let state = fake.durable.borrow();
            assert!(state[..size] == large[..size], "{size} {block}");
            assert!(state[DRIVE - MIB..].iter().all(|byte| *byte == 0));
            assert!(counts.verified >= u64::try_from(size).unwrap());
        }
    }
}

#[test]
fn zeros_are_content_where_the_drive_has_something_else() {
    let image = vec![0; 6 * MIB];
    let fake = Fake::new(noise(DRIVE, 5));
    let (result, counts, _) = write(&fake, 0, &whole(&image));
    result.unwrap();
    assert_eq!(counts.written, 0);
    assert!(fake.durable.borrow()[..image.len()] == image);
}

#[test]
fn zeros_before_something_else_count_as_it_does() {
    // From 4 MiB on, windows begin with zeros, end with them, or have them in the middle.
    let mut image = noise(13 * MIB, 7);
    for zeros in [4 * MIB..6 * MIB, 7 * MIB..9 * MIB + 512, 10 * MIB..11 * MIB] {
        image[zeros].fill(0);
    }
    let fake = Fake::new(noise(14 * MIB, 5));
    let (result, ..) = write(&fake, 0, &whole(&image));
    result.unwrap();
    assert!(fake.durable.borrow()[..image.len()] == image);
}

#[test]
fn by_a_block_map_only_its_blocks_are_written_and_read_back() {
    let mut image = vec![0; 10 * MIB];
    let kib = |from: u64, to: u64| from * 1024..to * 1024;
    let ranges = [
        kib(0, 8),
        kib(5000, 5004),
        kib(7168, 9000),
        kib(10_236, 10_240),
    ];
    for range in &ranges {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        let bytes = noise(range.len(), 9);
        image[range].copy_from_slice(&bytes);
    }
    let bmap = bmap_of(&image, &ranges, None);
    let (messages, error) = messages(&image, Some(&bmap), Sequence::EdgesLast);
    assert!(error.is_none(), "{error:?}");
    let old = noise(DRIVE, 5);
    let fake = Fake::new(old.clone());
    let (result, counts, _) = write(&fake, 0, &messages);
    result.unwrap();
    let mapped: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    assert_eq!(counts.written, mapped);
    assert_eq!(counts.verified, mapped);
    let state = fake.durable.borrow();
    // What is cleared first is cleared.
    let mut expected = old;
    expected[..4 * MIB].fill(0);
    expected[DRIVE - MIB..].fill(0);
    for range in &ranges {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        expected[range.clone()].copy_from_slice(&image[range]);
    }
    assert!(*state == expected);
}

#[test]
fn a_block_map_that_lies_is_an_error_before_the_start_is_written() {
    let image = image();
    let end = u64::try_from(image.len()).unwrap();
    let all: Vec<Range<u64>> = std::iter::once(0..end).collect();
    let mut other = image.clone();
    other[9 * MIB] ^= 1;
    let hole = [0..4096, 8192..end];
    let lies = [
        (bmap_of(&other, &all, None), "other ones than its block map"),
        (bmap_of(&image, &hole, None), "leaves out byte 4096"),
        (bmap_of(&image, &all, Some(end + 512)), "by its block map"),
        (
            bmap_of(&image[..8 * MIB], &[0..4096, 4096..8 * 1024 * 1024], None),
            "by its block map",
        ),
    ];
    for (bmap, words) in lies {
        let (messages, error) = messages(&image, Some(&bmap), Sequence::EdgesLast);
        let error = error.expect(words).to_string();
        assert!(error.contains(words), "{error}");
        let old = noise(DRIVE, 5);
        let fake = Fake::new(old.clone());
        let (result, _, heard) = write(&fake, 0, &messages);
        assert!(matches!(result, Err(DriveError::Left)), "{result:?}");
        // What is found before anything was to be written costs the drive nothing.
        assert_eq!(heard.has_begun, !words.starts_with("leaves out"), "{words}");
        let state = fake.durable.borrow();
        if heard.has_begun {
            assert!(state[..4 * MIB].iter().all(|byte| *byte == 0));
        } else {
            assert!(*state == old);
        }
    }
}

#[test]
fn an_image_that_is_changed_while_it_is_read_has_no_end() {
    let image = image();
    let has = u64::try_from(image.len()).unwrap();
    for (had, is_whole) in [(has, true), (has + 512, false), (has - 512, false)] {
        let path = PathBuf::from("image");
        let source = Source::new(path, &image[..], None, Sequence::EdgesLast);
        let mut source = source.of_size(Some(had));
        let end = loop {
            match source.next() {
                Ok(Next::Piece(_)) => {}
                Ok(Next::End(_)) => break None,
                Err(error) => break Some(error),
            }
        };
        assert_eq!(end.is_none(), is_whole, "{end:?}");
    }
}

#[test]
fn what_was_written_before_is_not_written_again_and_not_believed() {
    let image = image();
    let from = 8 * u64::try_from(MIB).unwrap();
    let fake = Fake::new(noise(DRIVE, 5));
    let mut heard = Heard {
        stops_at: Some(from),
        ..Heard::default()
    };
    let result = Writer::new(&fake, &mut heard, 0, AT_ONCE).write(&whole(&image));
    assert!(matches!(result, Err(DriveError::Left)), "{result:?}");
    assert_eq!(heard.kept.last(), Some(&from));
    let before = fake.durable.borrow().clone();

    let (result, again, _) = write(&fake, from, &whole(&image));
    result.unwrap();
    assert!(fake.durable.borrow()[..image.len()] == image);
    let anew = Fake::new(noise(DRIVE, 5));
    let (result, all, _) = write(&anew, 0, &whole(&image));
    result.unwrap();
    assert!(again.written + 900_000 < all.written, "{again:?} {all:?}");
    assert_eq!(again.verified, all.verified);

    // Another card, or one that was used since.
    let mut changed = before;
    changed[7 * MIB + 5000] ^= 1;
    let fake = Fake::new(changed);
    let (result, _, _) = write(&fake, from, &whole(&image));
    assert!(matches!(result, Err(DriveError::Stale)), "{result:?}");
    assert!(
        fake.durable.borrow()[..4 * MIB]
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn a_drive_that_is_too_small_for_what_was_unpacked_is_told_and_does_not_boot() {
    let image = image();
    let fake = Fake::new(noise(9 * MIB, 5));
    let (result, _, _) = write(&fake, 0, &whole(&image));
    assert!(
        matches!(result, Err(DriveError::Small { .. })),
        "{result:?}"
    );
    assert!(
        fake.durable.borrow()[..4 * MIB]
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn a_comparison_names_the_first_byte_that_differs_and_writes_nothing() {
    let image = image();
    let compare = |content: Vec<u8>| {
        let fake = Fake::new(content);
        let (messages, _) = messages(&image, None, Sequence::Straight);
        let mut heard = Heard::default();
        let result = Writer::new(&fake, &mut heard, 0, AT_ONCE).only_compare(&messages);
        assert_eq!(fake.count.get(), 0);
        result
    };
    let mut drive = image.clone();
    drive.resize(DRIVE, 7);
    compare(drive.clone()).unwrap();
    for place in [0, 511, 200_000, 5 * MIB + 3, 9 * MIB + 513, image.len() - 1] {
        let mut other = drive.clone();
        other[place] ^= 1;
        if place < image.len() - 1 {
            other[image.len() - 1] ^= 1;
        }
        match compare(other) {
            Err(DriveError::Other { offset }) => {
                assert_eq!(offset, u64::try_from(place).unwrap());
            }
            result => panic!("{place}: {result:?}"),
        }
    }
    assert!(matches!(
        compare(drive[..9 * MIB].to_vec()),
        Err(DriveError::Small { .. })
    ));
}
