//! The cache of content hashes, and when it must not be believed.

use std::path::Path;

use blake3::Hash;

use super::Project;
use crate::project::context::{
    cache::Cache,
    walk::{self, Kind, Stamp},
};

const SECOND: i64 = 1_000_000_000;

fn stamp(inode: u64, modified: i64, changed: i64) -> Stamp {
    Stamp {
        device: 1,
        inode,
        size: 3,
        modified,
        changed,
    }
}

/// Saves hashes as if the hashing had begun at this time.
fn save(folder: &Path, began: i64, known: &[(Stamp, Hash)]) {
    let cache = Cache::load(folder, Path::new("/context"));
    let mut writer = cache.begin().unwrap();
    writer.began = began;
    cache.replace(writer, known.iter().copied());
}

fn load(folder: &Path) -> Cache {
    Cache::load(folder, Path::new("/context"))
}

fn only_file(folder: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn what_has_rested_is_remembered_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let began = 100 * SECOND;
    let rested = stamp(1, 98 * SECOND - 1, 90 * SECOND);
    let written = stamp(2, 98 * SECOND, 90 * SECOND);
    let renamed = stamp(3, 90 * SECOND, 98 * SECOND);
    let future = stamp(4, 200 * SECOND, 90 * SECOND);
    let hash = blake3::hash(b"x");
    save(
        folder.path(),
        began,
        &[
            (rested, hash),
            (written, hash),
            (renamed, hash),
            (future, hash),
        ],
    );
    let cache = load(folder.path());
    assert_eq!(cache.get(&rested), Some(hash));
    for fresh in [written, renamed, future] {
        assert_eq!(cache.get(&fresh), None, "{fresh:?}");
    }
    only_file(folder.path());
}

#[test]
fn every_part_of_a_state_counts() {
    let folder = tempfile::tempdir().unwrap();
    let known = stamp(7, SECOND, SECOND);
    save(folder.path(), 100 * SECOND, &[(known, blake3::hash(b"x"))]);
    let cache = load(folder.path());
    assert!(cache.get(&known).is_some());
    for other in [
        Stamp { device: 2, ..known },
        Stamp { inode: 8, ..known },
        Stamp { size: 4, ..known },
        Stamp {
            modified: SECOND + 1,
            ..known
        },
        Stamp {
            changed: SECOND + 1,
            ..known
        },
    ] {
        assert_eq!(cache.get(&other), None, "{other:?}");
    }
    assert!(
        Cache::load(folder.path(), Path::new("/other"))
            .get(&known)
            .is_none()
    );
}

#[test]
fn a_damaged_cache_counts_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    let known = stamp(7, SECOND, SECOND);
    save(folder.path(), 100 * SECOND, &[(known, blake3::hash(b"x"))]);
    let file = only_file(folder.path());
    let good = fs_err::read(&file).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs_err::write(&file, &bad).unwrap();
        assert_eq!(load(folder.path()).get(&known), None, "byte {at}");
        fs_err::write(&file, &good[..at]).unwrap();
        assert_eq!(load(folder.path()).get(&known), None, "cut at {at}");
    }
    fs_err::write(&file, &good).unwrap();
    assert!(load(folder.path()).get(&known).is_some());
}

#[test]
fn a_remembered_hash_saves_the_reading_until_the_file_changes() {
    let mut project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("a", "1")]);
    let folder = tempfile::tempdir().unwrap();
    let honest = project.digest();
    project.cache = Some(folder.path().join("deep/er"));
    assert_eq!(project.digest(), honest);
    // The files are new, so nothing of them may be believed the next time.
    let context = fs_err::canonicalize(project.root()).unwrap();
    let entry = walk::single(&context, b"a").unwrap().unwrap();
    let Kind::File(state) = entry.kind else {
        panic!("{entry:?}")
    };
    let cache = Cache::load(&folder.path().join("deep/er"), &context);
    assert_eq!(cache.get(&state), None);
    // A wrong hash for this very state shows whether the file is read.
    let mut writer = cache.begin().unwrap();
    writer.began += 10 * SECOND;
    cache.replace(writer, [(state, blake3::hash(b"lie"))].into_iter());
    let believed = project.digest();
    assert_ne!(believed, honest);
    project.write("a", "2");
    let changed = project.digest();
    assert_ne!(changed, believed);
    project.write("a", "1");
    assert_eq!(project.digest(), honest);
    only_file(&folder.path().join("deep/er"));
}

#[test]
fn a_cache_that_cannot_be_kept_stops_nothing() {
    let mut project = Project::new(&[("Dockerfile", "FROM scratch\n")]);
    let digest = project.digest();
    let file = tempfile::NamedTempFile::new().unwrap();
    project.cache = Some(file.path().join("x"));
    assert_eq!(project.digest(), digest);
}
