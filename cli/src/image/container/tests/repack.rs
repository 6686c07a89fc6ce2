//! Packed again: with what was changed, and nothing of a source or a disk that ends early.

use super::*;

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
