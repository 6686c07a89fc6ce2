//! `os flash` to files: every packing, and pipes.

mod cut;
pub(crate) mod drives;
mod foreign;
mod mounted;
mod refused;

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::Workstation;

use crate::{
    USAGE,
    disks::{Disk, LAYOUTS, Layout, SYSTEMS, run},
};

pub(crate) const MIB: usize = 1024 * 1024;

/// Noise that no two drives share.
pub(crate) fn noise(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    });
    bytes.take(count).collect()
}

/// An image of Debian's tools, and a file of each packing of it.
pub(crate) fn packed(disk: &Disk) -> Vec<PathBuf> {
    let image = disk.name();
    let folder = disk.path().parent().unwrap().to_owned();
    for program in [
        &["gzip", "-1"][..],
        &["xz", "-0"],
        &["zstd", "-q", "-1"],
        &["bzip2", "-1"],
    ] {
        run(program[0], &[&program[1..], &["-k", &image]].concat());
    }
    let zip = folder.join("disk.img.zip");
    run("zip", &["-q", "-1", "-j", zip.to_str().unwrap(), &image]);
    [
        "disk.img",
        "disk.img.gz",
        "disk.img.xz",
        "disk.img.zst",
        "disk.img.bz2",
        "disk.img.zip",
    ]
    .map(|name| folder.join(name))
    .into()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn every_packing_comes_to_a_file_whole_and_is_compared() {
    let workstation = Workstation::new(None);
    for (layout, system) in [(LAYOUTS[2], SYSTEMS[1]), (Layout::Logical, SYSTEMS[2])] {
        let disk = Disk::new(layout, system);
        let expected = disk.bytes();
        for image in packed(&disk) {
            let image = text(&image);
            let drive = workstation.home().join("new");
            drop(fs_err::remove_file(&drive));
            let written = workstation.os(&["flash", image, "new", "--json"]).await;
            written.success();
            assert!(fs_err::read(&drive).unwrap() == expected, "{image}");
            assert!(!written.stderr.contains("no disk image"), "{written}");
            let value: Value = serde_json::from_str(&written.stdout).unwrap();
            let told = &value["drives"][0];
            assert_eq!(told["error"], Value::Null);
            // What is stored nowhere was not read.
            let [read, holes] = ["verified", "holes"].map(|key| told[key].as_u64().unwrap());
            assert_eq!(read + holes, u64::try_from(expected.len()).unwrap());
            assert!(read > 0 && holes > 0, "{written}");
            let equal = workstation
                .os(&["flash", image, "new", "--verify-only"])
                .await;
            equal.success();
            assert!(equal.stderr.contains("is equal to the image"), "{equal}");
        }
        // What was there is lost, and what is behind the image stays but for its end.
        let place = 3 * MIB + 77;
        let mut other = expected.clone();
        other[place] ^= 1;
        let drive = workstation.write("new", &other);
        let differs = workstation
            .os(&["flash", &disk.name(), "new", "--verify-only"])
            .await;
        assert_eq!(differs.code, 1, "{differs}");
        assert!(
            differs.stderr.contains(&format!("byte {place} is another")),
            "{differs}"
        );
        assert!(
            differs.stderr.contains("without --verify-only"),
            "{differs}"
        );
        assert!(fs_err::read(&drive).unwrap() == other);
        let asked = workstation.os(&["flash", &disk.name(), "new"]).await;
        assert_eq!(asked.code, USAGE, "{asked}");
        assert!(fs_err::read(&drive).unwrap() == other);
        let written = workstation.os(&["flash", "-y", &disk.name(), "new"]).await;
        written.success();
        assert!(fs_err::read(&drive).unwrap() == expected);
    }
    // Nothing of it is kept once a drive is whole.
    let records = workstation.home().join(".local/state/os/flash");
    let left = fs_err::read_dir(records).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_image_comes_from_a_pipe_and_a_person_is_asked_once() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[0]);
    let image = packed(&disk).remove(2);
    let piped = format!("os flash - new < '{}'", image.display());
    let shell = |line: &str| {
        let program = testkit::programs::built("os");
        let line = line.replacen("os ", &format!("{} ", program.display()), 1);
        workstation.start_program(&["sh", "-c", &line])
    };
    let refused = shell(&piped).output().await;
    assert_eq!(refused.code, USAGE, "{refused}");
    shell(&piped.replace("new", "new --yes"))
        .output()
        .await
        .success();
    let drive = workstation.home().join("new");
    assert!(fs_err::read(&drive).unwrap() == disk.bytes());
    let noise = "head -c 3000000 /dev/urandom | os flash - unknown --yes --allow-unknown";
    let unknown = shell(noise).output().await;
    unknown.success();
    assert!(
        unknown
            .stderr
            .contains("standard input begins with neither"),
        "{unknown}"
    );
    assert!(unknown.stderr.contains("is a new file"), "{unknown}");

    workstation.write("new", "something else");
    let mut running = workstation.start_in_terminal(&["flash", text(&image), "new"]);
    running
        .shows("All that is on it will be lost. Write disk.img.xz?")
        .await;
    running.press("n");
    let ended = running.output().await;
    assert_eq!(ended.code, 1, "{ended}");
    assert_eq!(fs_err::read(&drive).unwrap(), b"something else");
    let mut running = workstation.start_in_terminal(&["flash", text(&image), "new"]);
    running.shows("All that is on it will be lost").await;
    running.press("y");
    running.output().await.success();
    assert!(fs_err::read(&drive).unwrap() == disk.bytes());
}
