//! At every write of a drive: a cut, a write that is lost, one that is changed.

use super::{
    super::{
        DriveError,
        extents::{HEAD, is_zero},
        write::Writer,
    },
    order::bmap_of,
    *,
};

fn head() -> usize {
    usize::try_from(HEAD).unwrap()
}

/// A drive boots nothing but what it had before or the whole image: without its first block it boots nothing.
fn is_safe(state: &[u8], old: &[u8], image: &[u8]) -> bool {
    state == old || is_zero(&state[..512]) || state[..image.len()] == *image
}

fn written(fake: &Fake, image: &[u8]) -> Result<(), DriveError> {
    let mut heard = Heard::default();
    Writer::new(fake, &mut heard, 0, AT_ONCE).write(&whole(image))
}

fn operations(old: &[u8], image: &[u8]) -> usize {
    let fake = Fake::new(old.to_vec());
    written(&fake, image).unwrap();
    assert!(fake.durable.borrow()[..image.len()] == *image);
    fake.count.get()
}

#[test]
fn a_cut_at_any_write_leaves_the_old_the_whole_or_what_does_not_boot() {
    let (old, image) = (noise(DRIVE, 3), image());
    let count = operations(&old, &image);
    assert!(count > 20, "{count}");
    let mut whole = 0;
    for number in 0..count {
        let fake = Fake::with(old.clone(), number, Fault::Cut);
        let error = written(&fake, &image).unwrap_err();
        assert!(matches!(error, DriveError::Write { .. }), "{error}");
        for (index, state) in fake.after_a_cut().iter().enumerate() {
            assert!(
                is_safe(state, &old, &image),
                "operation {number}, state {index}"
            );
            whole += usize::from(state[..image.len()] == image);
        }
    }
    // Only the last flush may be missing.
    assert!((1..=6).contains(&whole), "{whole}");
}

#[test]
fn what_a_drive_loses_or_changes_is_found_and_named() {
    let (old, image) = (noise(DRIVE, 3), image());
    for fault in [Fault::Lost, Fault::Flipped] {
        for number in 0..operations(&old, &image) {
            let fake = Fake::with(old.clone(), number, fault);
            let result = written(&fake, &image);
            let state = fake.durable.borrow();
            match result {
                // A flush of nothing loses nothing.
                Ok(()) => assert!(state[..image.len()] == image, "{fault:?} {number}"),
                Err(DriveError::Differs { .. }) => {
                    assert!(is_zero(&state[..512]), "{fault:?} {number}");
                }
                Err(other) => panic!("{fault:?} {number}: {other}"),
            }
        }
    }
}

#[test]
fn a_card_that_has_less_than_it_says_never_boots() {
    let (old, image) = (noise(DRIVE, 3), image());
    let block = 512;
    let (least, all) = (MIB, image.len());
    let few = [block, 2 * block, 2 * MIB + block, 2 * MIB, 2 * MIB - block];
    let near = few.map(|less| all - less);
    for end in (least..all).step_by(MIB / 2).chain(near) {
        let mut fake = Fake::new(old.clone());
        fake.wraps = Some(end);
        let result = written(&fake, &image);
        assert!(
            matches!(result, Err(DriveError::Differs { .. })),
            "{end}: {result:?}"
        );
        // What was meant for behind its end went to its start.
        let start = head().min(end);
        assert!(is_zero(&fake.durable.borrow()[..start]), "{end}");
    }
    // As much as the image needs is enough.
    for end in (all..DRIVE).step_by(MIB / 2) {
        let mut fake = Fake::new(old.clone());
        fake.wraps = Some(end);
        written(&fake, &image).unwrap();
        assert!(fake.durable.borrow()[..all] == image, "{end}");
    }
}

#[test]
fn a_card_that_ends_among_zeros_is_found_all_the_same() {
    let old = noise(DRIVE, 3);
    let mut image = vec![0; 10 * MIB];
    let start = noise(MIB, 9);
    image[..MIB].copy_from_slice(&start);
    for end in (5 * MIB..10 * MIB).step_by(MIB / 2) {
        let mut fake = Fake::new(old.clone());
        fake.wraps = Some(end);
        let result = written(&fake, &image);
        assert!(
            matches!(result, Err(DriveError::Differs { .. })),
            "{end}: {result:?}"
        );
    }
}

#[test]
fn a_card_on_which_only_the_images_end_comes_over_something_is_found() {
    let mut image = noise(18 * MIB, 7);
    // What is read back before the end comes ends with the card, or with what the block map leaves out.
    image[12 * MIB..16 * MIB].fill(0);
    let byte = |mib: usize| u64::try_from(mib * MIB).unwrap();
    let parts = [byte(0)..byte(12), byte(16)..byte(18)];
    let bmap = bmap_of(&image, &parts, None);
    for bmap in [None, Some(&bmap)] {
        let mut fake = Fake::new(noise(20 * MIB, 3));
        fake.wraps = Some(12 * MIB);
        let (messages, error) = messages(&image, bmap, Sequence::EdgesLast);
        assert!(error.is_none());
        let mut heard = Heard::default();
        let result = Writer::new(&fake, &mut heard, 0, AT_ONCE).write(&messages);
        assert!(
            matches!(result, Err(DriveError::Differs { .. })),
            "{result:?}"
        );
        assert!(is_zero(&fake.durable.borrow()[..head()]));
    }
}

#[test]
fn who_stops_before_the_first_write_loses_nothing_and_who_stops_at_the_last_has_all() {
    let (old, image) = (noise(DRIVE, 3), image());
    let fake = Fake::new(old.clone());
    let mut heard = Heard {
        is_stopped: true,
        ..Heard::default()
    };
    let result = Writer::new(&fake, &mut heard, 0, AT_ONCE).write(&whole(&image));
    assert!(matches!(result, Err(DriveError::Left)), "{result:?}");
    assert!(*fake.durable.borrow() == old);
    let fake = Fake::new(old);
    let mut heard = Heard {
        stops_at: Some(u64::try_from(image.len()).unwrap()),
        stops_in: Some(Phase::Verifying),
        ..Heard::default()
    };
    Writer::new(&fake, &mut heard, 0, AT_ONCE)
        .write(&whole(&image))
        .unwrap();
    assert!(heard.is_stopped);
    assert!(fake.durable.borrow()[..image.len()] == image);
}

#[test]
fn an_image_that_ends_in_an_error_leaves_no_start_and_one_that_never_came_takes_none() {
    let (old, image) = (noise(DRIVE, 3), image());
    for (end, has_come) in [
        (0, false),
        (1, false),
        (3 * MIB, false),
        (5 * MIB + 17, false),
        (9 * MIB, true),
    ] {
        let input = io::Read::chain(&image[..end], Broken);
        let (way, messages) = channel();
        let mut source = Source::new(PathBuf::from("i"), input, None, Sequence::EdgesLast);
        let error = loop {
            match source.next() {
                Ok(Next::Piece(piece)) => way.send(Message::Piece(piece)).unwrap(),
                Ok(Next::End(_)) => panic!("it has no end"),
                Err(error) => break error,
            }
        };
        drop(way);
        assert!(matches!(error, FlashError::Image { .. }), "{error}");
        let fake = Fake::new(old.clone());
        let mut heard = Heard::default();
        let result = Writer::new(&fake, &mut heard, 0, AT_ONCE).write(&messages);
        assert!(matches!(result, Err(DriveError::Left)), "{result:?}");
        assert_eq!(heard.has_begun, has_come, "{end}");
        let state = fake.durable.borrow();
        if has_come {
            assert!(state[..head()].iter().all(|byte| *byte == 0));
        } else {
            assert!(*state == old, "{end}");
        }
    }
}

/// An input that is damaged.
struct Broken;

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::InvalidData.into())
    }
}
