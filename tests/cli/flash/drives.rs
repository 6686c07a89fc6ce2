//! `os flash` to drives: loop devices, what is refused of them, and several at once.

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::Workstation;

use super::{MIB, noise, packed, text};
use crate::{
    USAGE,
    disks::{Disk, Layout, SYSTEMS, run},
};

/// A file in the place of a drive, as the kernel shows it.
pub(crate) struct Loop {
    pub(crate) path: String,
    file: PathBuf,
}

impl Loop {
    pub(crate) fn new(file: PathBuf, content: &[u8]) -> Self {
        fs_err::write(&file, content).unwrap();
        let shown = run("losetup", &["-P", "-f", "--show", file.to_str().unwrap()]);
        let path = String::from_utf8(shown).unwrap().trim().to_owned();
        Self { path, file }
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        run("sync", &[]);
        fs_err::read(&self.file).unwrap()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(
            std::process::Command::new("losetup")
                .args(["-d", &self.path])
                .status(),
        );
    }
}

#[tokio::test]
async fn a_drive_is_written_past_the_cache_and_its_table_is_seen() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    let expected = disk.bytes();
    let size = expected.len() + 5 * MIB;
    let drive = Loop::new(workstation.home().join("card"), &noise(size, 3));
    let fixed = workstation
        .os(&["flash", &disk.name(), &drive.path, "-y"])
        .await;
    assert_eq!(fixed.code, USAGE, "{fixed}");
    assert!(fixed.stderr.contains("not removable (loop)"), "{fixed}");
    assert!(fixed.stderr.contains("--allow-fixed"), "{fixed}");
    let asked = workstation
        .os(&["flash", &disk.name(), &drive.path, "--allow-fixed"])
        .await;
    assert_eq!(asked.code, USAGE, "{asked}");
    assert!(drive.content() == noise(size, 3));
    // Of what was on it before; not every kernel reads tables by itself.
    run("addpart", &[&drive.path, "7", "64", "64"]);
    let part = |number: u32| format!("{}p{number}", drive.path);
    let is_seen = |number: u32| {
        let name = part(number);
        let name = name.rsplit('/').next().unwrap();
        Path::new("/sys/class/block").join(name).exists()
    };
    assert!(is_seen(7));
    let written = workstation
        .os(&["flash", &disk.name(), &drive.path, "--allow-fixed", "-y"])
        .await;
    written.success();
    assert!(written.stderr.contains("may be taken out"), "{written}");
    assert!(!is_seen(7), "the old table");
    let content = drive.content();
    assert!(content[..expected.len()] == expected);
    assert!(content[size - MIB..].iter().all(|byte| *byte == 0));
    assert!(content[expected.len()..size - MIB] == noise(size, 3)[expected.len()..size - MIB]);
    run("addpart", &[&drive.path, "8", "64", "64"]);
    let refused = workstation
        .os(&["flash", &disk.name(), &part(8), "--allow-fixed", "-y"])
        .await;
    run("delpart", &[&drive.path, "8"]);
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(
        refused
            .stderr
            .contains(&format!("is a partition of {}", drive.path)),
        "{refused}"
    );
    let twice = workstation
        .os(&[
            "flash",
            &disk.name(),
            &drive.path,
            &drive.path,
            "--allow-fixed",
            "-y",
        ])
        .await;
    assert_eq!(twice.code, USAGE, "{twice}");
    assert!(twice.stderr.contains("named twice"), "{twice}");
    let itself = workstation
        .os(&["flash", &disk.name(), &disk.name(), "-y"])
        .await;
    assert_eq!(itself.code, USAGE, "{itself}");
    assert!(itself.stderr.contains("the image itself"), "{itself}");
    assert!(disk.bytes() == expected);
    // The file behind a loop device is it, too.
    let card = text(&drive.file);
    for (image, to, words) in [
        (card, drive.path.as_str(), "the image itself"),
        (&disk.name(), card, &format!("behind {}", drive.path)),
        (&drive.path, card, &format!("behind {}", drive.path)),
    ] {
        let refused = workstation
            .os(&["flash", image, to, "--allow-fixed", "-y"])
            .await;
        assert_eq!(refused.code, USAGE, "{refused}");
        assert!(refused.stderr.contains(words), "{refused}");
    }
    assert!(drive.content() == content);
}

#[tokio::test]
async fn what_is_behind_a_loop_counts_and_not_its_name() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    let size = disk.bytes().len() + MIB;
    let drive = Loop::new(workstation.home().join("card"), &noise(size, 3));
    let over = |file: &str| {
        let shown = run("losetup", &["-f", "--show", file]);
        let path = String::from_utf8(shown).unwrap().trim().to_owned();
        let file = PathBuf::from(file);
        Loop { path, file }
    };
    let (above, beside) = (over(&drive.path), over(text(&drive.file)));
    let same = over(&disk.name());
    let name = drive.path.rsplit('/').next().unwrap();
    for (image, to, words) in [
        (disk.name(), &above.path, format!("it is over {name}")),
        (disk.name(), &beside.path, format!("behind {}", drive.path)),
        (beside.path.clone(), &drive.path, "the image itself".into()),
        (disk.name(), &same.path, "the image itself".into()),
    ] {
        let refused = workstation
            .os(&[
                "flash",
                &image,
                to,
                "--allow-fixed",
                "-y",
                "--allow-unknown",
            ])
            .await;
        assert_eq!(refused.code, USAGE, "{refused}");
        assert!(refused.stderr.contains(&words), "{refused}");
    }
    drop((above, beside));
    assert!(drive.content() == noise(size, 3));
}

#[tokio::test]
async fn another_card_than_the_one_that_was_asked_about_is_not_written() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    let size = disk.bytes().len() + MIB;
    let drive = Loop::new(workstation.home().join("card"), &noise(size, 3));
    let words = ["flash", &disk.name(), &drive.path, "--allow-fixed"];
    let mut running = workstation.start_in_terminal(&words);
    running.shows("All that is on it will be lost").await;
    fs_err::OpenOptions::new()
        .write(true)
        .open(&drive.file)
        .unwrap()
        .set_len(u64::try_from(size + MIB).unwrap())
        .unwrap();
    run("losetup", &["-c", &drive.path]);
    running.press("y");
    let ended = running.output().await;
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended.stdout.contains("is another drive than before"),
        "{ended}"
    );
    assert!(drive.content()[..size] == noise(size, 3));
}

#[tokio::test]
async fn of_several_drives_one_that_fails_does_not_hold_up_the_others() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[2]);
    let expected = disk.bytes();
    // One that does not say how large it is.
    let image = packed(&disk).remove(4);
    let small = Loop::new(workstation.home().join("small"), &noise(9 * MIB, 3));
    let large = Loop::new(
        workstation.home().join("large"),
        &noise(expected.len() + MIB, 4),
    );
    let words = [
        "flash",
        text(&image),
        &small.path,
        &large.path,
        "a",
        "b",
        "--allow-fixed",
        "-y",
        "--json",
    ];
    let some = workstation.os(&words).await;
    assert_eq!(some.code, 1, "{some}");
    let value: Value = serde_json::from_str(some.stdout.lines().next().unwrap()).unwrap();
    let errors: Vec<bool> = value["drives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|drive| drive["error"].is_string())
        .collect();
    assert_eq!(errors, [true, false, false, false], "{some}");
    assert!(
        some.stderr.contains("1 of 4 drives are not written"),
        "{some}"
    );
    assert!(small.content()[..4 * MIB].iter().all(|byte| *byte == 0));
    assert!(large.content()[..expected.len()] == expected);
    for name in ["a", "b"] {
        assert!(fs_err::read(workstation.home().join(name)).unwrap() == expected);
    }
    // Known to be too small before anything is written.
    let told = workstation
        .os(&["flash", &disk.name(), &small.path, "--allow-fixed", "-y"])
        .await;
    assert_eq!(told.code, USAGE, "{told}");
    assert!(told.stderr.contains("it has 9437184 bytes"), "{told}");
}

#[tokio::test]
async fn an_image_that_says_how_large_it_is_costs_no_small_drive_its_content() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    let size = disk.bytes().len();
    let images = packed(&disk);
    let old = noise(9 * MIB, 3);
    let small = Loop::new(workstation.home().join("small"), &old);
    // Raw, gzip, xz, zstd and zip.
    for (index, words) in [(0, ""), (1, ""), (2, ""), (3, ""), (5, "")] {
        let image = text(&images[index]);
        let refused = workstation
            .os(&["flash", image, &small.path, "--allow-fixed", "-y"])
            .await;
        assert_eq!(refused.code, USAGE, "{refused}");
        let told = format!("it has 9437184 bytes, and the image {words}{size}");
        assert!(refused.stderr.contains(&told), "{refused}");
        assert!(small.content() == old, "{image}");
    }
    // Of bzip2, a person is told what is not known.
    let words = ["flash", text(&images[4]), &small.path, "--allow-fixed"];
    let mut asked = workstation.start_in_terminal(&words);
    asked.shows("does not say how large it is").await;
    asked.shows("All that is on it will be lost").await;
    asked.press("y");
    let ended = asked.output().await;
    assert_eq!(ended.code, 1, "{ended}");
    assert!(ended.stdout.contains("it has 9437184 bytes"), "{ended}");
    assert!(small.content()[..4 * MIB].iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn where_no_drive_can_be_offered_it_is_as_if_a_wrong_one_were_named() {
    let workstation = Workstation::new(None);
    workstation.write("disk.img", noise(MIB, 1));
    let nothing = ["-t", "tmpfs", "tmpfs", "/sys/block"];
    workstation.machine.run("mount", &nothing);
    let refused = workstation
        .os(&["flash", "disk.img", "-y", "--allow-unknown"])
        .await;
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(refused.stderr.contains("no removable drive"), "{refused}");
    assert!(refused.stderr.contains("os flash --list"), "{refused}");
}

#[tokio::test]
async fn drives_are_listed_with_the_reason_why_they_are_not_written() {
    let workstation = Workstation::new(None);
    let drive = Loop::new(workstation.home().join("card"), &[1; 4096]);
    let listed = workstation.os(&["flash", "--list"]).await;
    listed.success();
    let line = listed
        .stdout
        .lines()
        .find(|line| line.starts_with(&drive.path));
    let line = line.unwrap_or_else(|| panic!("{listed}"));
    assert!(
        line.contains("4.1 kB") && line.contains("not removable"),
        "{line}"
    );
    let json = workstation.os(&["flash", "--list", "--json"]).await;
    let value: Value = serde_json::from_str(&json.stdout).unwrap();
    let drives = value.as_array().unwrap();
    assert!(
        drives
            .iter()
            .any(|found| found["path"] == drive.path.as_str())
    );
    let image = text(&drive.file);
    let nothing = workstation
        .os(&["flash", image, "/dev/nothing", "-y", "--allow-unknown"])
        .await;
    assert_eq!(nothing.code, USAGE, "{nothing}");
    assert!(nothing.stderr.contains("is no drive"), "{nothing}");
}
