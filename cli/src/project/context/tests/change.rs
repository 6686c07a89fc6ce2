//! Files that change under the reader's hands, and sinks that refuse.

use std::{
    io::{self, Write},
    path::Path,
};

use super::Project;
use crate::project::context::{ContextError, archive, walk};

type Change = fn(&Path);

#[test]
fn a_file_that_changes_before_it_is_sent_never_makes_a_whole_archive() {
    let big = "x".repeat(600_000);
    let cases: [(&str, Change); 6] = [
        ("it became shorter", |path| {
            fs_err::write(path, "x").unwrap();
        }),
        ("it became longer", |path| {
            fs_err::OpenOptions::new()
                .append(true)
                .open(path)
                .unwrap()
                .write_all(b"x")
                .unwrap();
        }),
        ("it was written to or replaced", |path| {
            fs_err::remove_file(path).unwrap();
            fs_err::write(path, "y".repeat(600_000)).unwrap();
        }),
        ("it is gone", |path| fs_err::remove_file(path).unwrap()),
        ("it is no file any more", |path| {
            fs_err::remove_file(path).unwrap();
            fs_err::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        }),
        ("it is no file any more", |path| {
            fs_err::remove_file(path).unwrap();
            fs_err::create_dir(path).unwrap();
        }),
    ];
    for (what, change) in cases {
        let project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("big", &big)]);
        let context = project.context();
        change(&project.root().join("big"));
        let mut bytes = Vec::new();
        let error = context.write_tar(&mut bytes).unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(
            error
                .to_string()
                .contains("/big changed while the build context was read"),
            "{error}"
        );
        assert!(error.to_string().contains(what), "{what}: {error}");
        assert!(
            !bytes.ends_with(&[0; 1024]),
            "{what}: the archive has an end"
        );
    }
}

/// Changes a file while its content is on its way, after its header and a first piece were written.
struct Meddler<'a> {
    path: &'a Path,
    change: Change,
    taken: usize,
}

impl Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.taken;
        self.taken += bytes.len();
        if before <= 100_000 && self.taken > 100_000 {
            (self.change)(self.path);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_changes_while_it_is_sent_stops_the_sending() {
    let project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("big", "")]);
    let path = project.root().join("big");
    let shrink: Change = |path| fs_err::write(path, "short").unwrap();
    let grow: Change = |path| {
        fs_err::OpenOptions::new()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(b"more")
            .unwrap();
    };
    for (change, what) in [(shrink, "shorter"), (grow, "longer")] {
        fs_err::write(&path, vec![b'x'; 3_000_000]).unwrap();
        let context = project.context();
        let error = context
            .write_tar(&mut Meddler {
                path: &path,
                change,
                taken: 0,
            })
            .unwrap_err();
        assert!(
            matches!(error, ContextError::Changed { .. }) && error.to_string().contains(what),
            "{error}"
        );
    }
}

#[test]
fn the_other_end_s_refusal_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let project = Project::new(&[("Dockerfile", "FROM scratch\n")]);
    let error = project.context().write_tar(&mut Full).unwrap_err();
    assert!(matches!(error, ContextError::Write(_)), "{error}");
}

#[test]
fn more_than_eight_gigabytes_have_a_header() {
    let project = Project::new(&[("Dockerfile", "FROM scratch\n")]);
    let sparse = fs_err::File::create(project.root().join("huge")).unwrap();
    sparse.set_len(9 << 30).unwrap();
    let entry = walk::single(project.root(), b"huge").unwrap().unwrap();
    let mut head = Head(Vec::new());
    let error = archive::write(project.root(), &[entry], &mut head).unwrap_err();
    assert!(matches!(error, ContextError::Write(_)), "{error}");
    let header = tar::Header::from_byte_slice(&head.0[..512]);
    assert_eq!(header.size().unwrap(), 9 << 30);
}

/// Takes a little and then no more.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() > 4096 {
            return Err(io::Error::from(io::ErrorKind::WriteZero));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
