//! What stands behind one another, what is damaged, what is not there, and what others put beside an image.

use super::*;

#[test]
fn zeros_behind_what_is_packed_are_padding_and_all_else_is_told() {
    let made = Made::new();
    for program in [&["gzip", "-c"][..], &["bzip2", "-c"]] {
        let (one, two) = made.image.split_at(MIB);
        let parts = [pack(program, one), pack(program, two)].concat();
        for zeros in [1, 512, 300_000] {
            let path = made.hold(&[&parts[..], &vec![0; zeros]].concat());
            assert!(
                unpacked(&path).unwrap() == made.image,
                "{program:?} {zeros}"
            );
        }
        for behind in [&b"garbage"[..], &[0, 0, 7]] {
            let path = made.hold(&[&parts[..], behind].concat());
            let error = unpacked(&path).unwrap_err();
            let is_told = error.contains("something else stands behind what is packed");
            assert!(is_told, "{program:?}: {error}");
        }
    }
}

#[test]
fn what_damages_is_told_as_damage_and_what_wants_too_much_memory_as_that() {
    let made = Made::new();
    let mut packed = made.packed(&["zstd", "-c", "-q"]);
    let middle = packed.len() / 2;
    for byte in &mut packed[middle..middle + 64] {
        *byte ^= 0x55;
    }
    let read = |bytes: &[u8]| {
        let mut unpacked = opened(&made.hold(bytes)).unwrap();
        io::copy(&mut unpacked, &mut io::sink()).unwrap_err()
    };
    assert_eq!(read(&packed).kind(), io::ErrorKind::InvalidData);
    let large = made.packed(&["xz", "-c", "-T1", "--lzma2=preset=0,dict=300MiB"]);
    let error = read(&large);
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("`xz -dk`"), "{error}");
}

#[test]
fn what_goes_wrong_is_told_by_what_it_is_and_not_by_its_words() {
    let made = Made::new();
    for (format, program) in &PROGRAMS[..5] {
        let mut packed = made.packed(program);
        let middle = packed.len() / 2;
        for byte in &mut packed[middle..middle + 64] {
            *byte ^= 0x55;
        }
        let error = unpacker(*format, io::Cursor::new(packed))
            .and_then(|mut unpacked| io::copy(&mut unpacked, &mut io::sink()))
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{program:?}");
        // What is read may fail, in whatever words.
        let start = made.packed(program)[..1000].to_vec();
        // Also in those by which damage is told.
        for kind in [
            io::ErrorKind::Other,
            io::ErrorKind::InvalidInput,
            io::ErrorKind::UnexpectedEof,
        ] {
            let failing = io::Cursor::new(start.clone()).chain(Failing(kind));
            let error = unpacker(*format, failing)
                .and_then(|mut unpacked| io::copy(&mut unpacked, &mut io::sink()))
                .unwrap_err();
            assert_eq!(error.kind(), kind, "{program:?}: {error}");
            assert_eq!(error.to_string(), "no memory in the reader", "{program:?}");
        }
    }
    let mut zip = made.packed(&["zip", "-q", "-", "-"]);
    for byte in &mut zip[100_000..100_064] {
        *byte ^= 0x55;
    }
    let error = io::copy(&mut opened(&made.hold(&zip)).unwrap(), &mut io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let script = "head -c 300M /dev/zero | zstd -q -c --ultra --long=30 -1";
    let wide = Command::new("sh").args(["-c", script]).output().unwrap();
    let error = unpacker(Format::Zstd, io::Cursor::new(wide.stdout))
        .and_then(|mut unpacked| io::copy(&mut unpacked, &mut io::sink()))
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert!(error.to_string().contains("--long=31"), "{error}");
}

#[test]
fn what_another_zstd_unpacks_is_not_damaged() {
    let made = Made::new();
    let packed = made.packed(&["zstd", "-c", "-q"]);
    // A bit that nobody has a meaning for; a dictionary, whose number stands behind how far it looks back.
    let mut reserved = packed.clone();
    reserved[4] |= 0x08;
    let mut dictionary = packed.clone();
    dictionary[4] |= 0x01;
    let is_one_piece = packed[4] & 0x20 != 0;
    dictionary.insert(if is_one_piece { 5 } else { 6 }, 7);
    for bytes in [reserved, dictionary] {
        let error = unpacker(Format::Zstd, io::Cursor::new(bytes))
            .and_then(|mut unpacked| io::copy(&mut unpacked, &mut io::sink()))
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
    }
}

/// What cannot be read.
struct Failing(io::ErrorKind);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(self.0, "no memory in the reader"))
    }
}

#[test]
fn what_a_mac_puts_into_an_archive_is_no_image() {
    let made = Made::new();
    let folder = made.dir.path();
    let mac = folder.join("__MACOSX");
    fs::create_dir(&mac).unwrap();
    let zipped = |names: &[&str]| {
        let zip = folder.join("out.zip");
        drop(fs::remove_file(&zip));
        for name in names {
            fs::write(folder.join(name), &made.image).unwrap();
        }
        let made = Command::new("zip")
            .current_dir(folder)
            .args(["-q", "out.zip"])
            .args(names)
            .output();
        assert!(made.unwrap().status.success());
        opened(&zip).map(drop)
    };
    zipped(&["base.odd", "__MACOSX/._base.odd"]).unwrap();
    zipped(&["base.img", "__MACOSX/._base.img", "._base.img", "notes.txt"]).unwrap();
    for end in [
        "wic",
        "sdimg",
        "rpi-sdimg",
        "bin",
        "raw",
        "iso",
        "IMG",
        "sdcard",
        "dd",
    ] {
        zipped(&[&format!("base.{end}"), "notes.txt"]).unwrap();
    }
    let two = zipped(&["one.img", "two.iso"]).unwrap_err();
    let ContainerError::Archive { fault, .. } = &two else {
        panic!("{two}");
    };
    assert!(
        matches!(fault, ArchiveFault::Several { count: 2, .. }),
        "{two}"
    );
}

#[test]
fn an_archive_that_another_program_reads_is_not_called_damaged() {
    let made = Made::new();
    let folder = made.dir.path();
    fs::write(folder.join("one.img"), &made.image).unwrap();
    fs::create_dir(folder.join("none")).unwrap();
    let zipped = |arguments: &[&str]| {
        let zip = folder.join("out.zip");
        drop(fs::remove_file(&zip));
        let made = Command::new("zip")
            .current_dir(folder)
            .args(["-q", "out.zip"])
            .args(arguments)
            .status();
        assert!(made.unwrap().success());
        fs::read(zip).unwrap()
    };
    let fault = |bytes: &[u8]| match opened(&made.hold(bytes)).map(drop) {
        Err(ContainerError::Archive { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    let whole = zipped(&["one.img"]);
    for (method, name) in [(9_u8, "Deflate64"), (12, "Bzip2"), (77, "has no name")] {
        let mut other = whole.clone();
        let list = other.windows(4).rposition(|four| four == b"PK\x01\x02");
        for place in [8, list.unwrap() + 10] {
            other[place] = method;
        }
        let fault = fault(&other);
        let ArchiveFault::Unknown(words) = &fault else {
            panic!("{fault:?}");
        };
        assert!(words.contains(name), "{words}");
    }
    assert_eq!(
        fault(&zipped(&["-P", "secret", "one.img"])),
        ArchiveFault::Encrypted
    );
    assert_eq!(fault(&zipped(&["none"])), ArchiveFault::Empty);
    let cut = fault(&whole[..whole.len() / 2]);
    assert!(cut.is_damage(), "{cut:?}");
    // The end of an archive with nothing in it.
    let end = whole.windows(4).rposition(|four| four == b"PK\x05\x06");
    let nothing = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    assert_eq!(fault(&nothing), ArchiveFault::Empty);
    // Which of several parts it is.
    let mut part = whole.clone();
    part[end.unwrap() + 4] = 1;
    let part = fault(&part);
    assert!(
        matches!(&part, ArchiveFault::Unknown(words) if words.contains("one part of several")),
        "{part:?}"
    );
    for mark in [b"PK\x07\x08", b"PK00"] {
        let marked = [mark, &whole[..]].concat();
        let mut read = Vec::new();
        let mut image = opened(&made.hold(&marked)).unwrap();
        image.read_to_end(&mut read).unwrap();
        assert!(read == made.image);
    }
}

#[test]
fn a_damaged_list_of_an_archive_does_not_make_it_one_for_others() {
    let made = Made::new();
    let zip = made.packed(&["zip", "-q", "-", "-"]);
    let list = zip.windows(4).rposition(|four| four == b"PK\x01\x02");
    for (place, bit) in [(8, 1), (10, 4)] {
        for at in [list.unwrap() + place, place - 2] {
            let mut damaged = zip.clone();
            damaged[at] ^= bit;
            match opened(&made.hold(&damaged)).map(drop) {
                Err(ContainerError::Archive { fault, .. }) => {
                    assert!(fault.is_damage(), "{fault:?}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn holes_are_zeros_that_are_not_read() {
    use std::os::unix::fs::FileExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let file = File::create(&path).unwrap();
    let places = [MIB, 3 * MIB + 5, 9 * MIB - 1];
    for place in places {
        file.file()
            .write_all_at(b"x", u64::try_from(place).unwrap())
            .unwrap();
    }
    file.set_len(12 * BIG).unwrap();
    let mut expected = vec![0; 12 * MIB];
    for place in places {
        expected[place] = b'x';
    }
    assert!(unpacked(&path).unwrap() == expected);
    // A hole is known for one, and what is none for none.
    let mut known = Known::default();
    let end = known.at(file.file(), 0, 12 * BIG);
    assert!(known.is_hole && end <= BIG && end > 0, "{end}");
    known.at(file.file(), BIG, 12 * BIG);
    assert!(!known.is_hole);
    assert_eq!(known.at(file.file(), 12 * BIG, 12 * BIG), 0);
}
