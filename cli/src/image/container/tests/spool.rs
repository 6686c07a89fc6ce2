//! Unpacked as far as it is read: how much is held, and who ends it.

use super::*;
use crate::image::ReadAt as _;

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
