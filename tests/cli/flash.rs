//! `os flash`: every packing, to files and to loop devices, what it refuses, and what a cut leaves.

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::{Workstation, until::until};

use crate::disks::{Disk, LAYOUTS, Layout, SYSTEMS, run};

const MIB: usize = 1024 * 1024;
const USAGE: i32 = 2;
const INTERRUPTED: i32 = 130;

/// A file in the place of a drive, as the kernel shows it.
struct Loop {
    path: String,
    file: PathBuf,
}

impl Loop {
    fn new(file: PathBuf, content: &[u8]) -> Self {
        fs_err::write(&file, content).unwrap();
        let shown = run("losetup", &["-P", "-f", "--show", file.to_str().unwrap()]);
        let path = String::from_utf8(shown).unwrap().trim().to_owned();
        Self { path, file }
    }

    fn content(&self) -> Vec<u8> {
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

/// Noise that no two drives share.
fn noise(count: usize, seed: u32) -> Vec<u8> {
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
fn packed(disk: &Disk) -> Vec<PathBuf> {
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

fn text(path: &Path) -> &str {
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
            assert_eq!(told["verified"], u64::try_from(expected.len()).unwrap());
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
async fn what_is_mounted_is_unmounted_or_refused() {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let disk = Disk::new(Layout::Whole, SYSTEMS[1]);
    let drive = Loop::new(workstation.home().join("card"), &vec![0; 24 * MIB]);
    run("mke2fs", &["-q", &drive.path]);
    let elsewhere = workstation.home().join("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    machine.run("mount", &[&drive.path, text(&elsewhere)]);
    let words = ["flash", &disk.name(), &drive.path, "--allow-fixed", "-y"];
    let refused = workstation.os(&words).await;
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(
        refused
            .stderr
            .contains(&format!("`umount {}`", elsewhere.display())),
        "{refused}"
    );
    machine.run("umount", &[text(&elsewhere)]);
    machine.run("mount", &["-t", "tmpfs", "tmpfs", "/mnt"]);
    machine.run("mkdir", &["/mnt/a card"]);
    machine.run("mount", &[&drive.path, "/mnt/a card"]);
    let written = workstation.os(&words).await;
    written.success();
    assert!(
        written.stderr.contains("unmounted /mnt/a card"),
        "{written}"
    );
    assert!(drive.content()[..disk.bytes().len()] == disk.bytes());
}

#[tokio::test]
async fn an_image_that_is_cut_off_or_damaged_leaves_nothing_that_boots() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[2]);
    let size = disk.bytes().len();
    for image in packed(&disk).iter().skip(1) {
        let whole = fs_err::read(image).unwrap();
        let mut damaged = whole.clone();
        let middle = whole.len() / 2;
        damaged[middle] ^= 0x55;
        for bytes in [&whole[..whole.len() - 9], &damaged] {
            fs_err::write(image, bytes).unwrap();
            let old = noise(size + MIB, 5);
            let drive = workstation.write("drive", &old);
            let failed = workstation.os(&["flash", "-y", text(image), "drive"]).await;
            assert_eq!(failed.code, 1, "{failed}");
            let content = fs_err::read(drive).unwrap();
            let is_clear = content[..4 * MIB].iter().all(|byte| *byte == 0);
            // An archive is seen to be cut before anything is written.
            assert!(is_clear || content == old, "{failed}");
        }
    }
}

#[tokio::test]
async fn a_block_map_beside_the_image_is_used_and_held_against_it() {
    let workstation = Workstation::new(None);
    let mut image = vec![0; 12 * MIB];
    image[..8192].copy_from_slice(&noise(8192, 1));
    image[9 * MIB..10 * MIB].copy_from_slice(&noise(MIB, 2));
    workstation.write("disk.img", &image);
    let map = |blocks: &str| {
        let ranges = blocks
            .split(' ')
            .map(|blocks| format!("<Range>{blocks}</Range>"));
        let ranges = ranges.collect::<Vec<_>>().concat();
        format!(
            "<bmap version=\"2.0\"><ImageSize>{}</ImageSize><BlockSize>4096</BlockSize><ChecksumType>sha256</ChecksumType><BlockMap>{ranges}</BlockMap></bmap>",
            image.len()
        )
    };
    workstation.write("disk.img.bmap", map("0-1 2304-2559"));
    let old = noise(14 * MIB, 7);
    let drive = workstation.write("drive", &old);
    let written = workstation
        .os(&["flash", "-y", "disk.img", "drive", "--json"])
        .await;
    written.success();
    assert!(
        written.stderr.contains("it may be no disk image"),
        "{written}"
    );
    let value: Value = serde_json::from_str(&written.stdout).unwrap();
    assert_eq!(value["drives"][0]["verified"], 8192 + 1024 * 1024);
    let content = fs_err::read(&drive).unwrap();
    assert!(content[..4 * MIB] == image[..4 * MIB]);
    assert!(content[4 * MIB..9 * MIB] == old[4 * MIB..9 * MIB]);
    assert!(content[9 * MIB..10 * MIB] == image[9 * MIB..10 * MIB]);
    workstation
        .os(&["flash", "--verify-only", "disk.img", "drive"])
        .await
        .success();
    let all = ["flash", "--verify-only", "--no-bmap", "disk.img", "drive"];
    assert_eq!(workstation.os(&all).await.code, 1);

    workstation.write("disk.img.bmap", map("0-1 2304-2558"));
    let lied = workstation.os(&["flash", "-y", "disk.img", "drive"]).await;
    assert_eq!(lied.code, 1, "{lied}");
    assert!(lied.stderr.contains("which is not empty"), "{lied}");
    let content = fs_err::read(&drive).unwrap();
    assert!(content[..4 * MIB].iter().all(|byte| *byte == 0));
    workstation.write("disk.img.bmap", "<bmap");
    let broken = workstation.os(&["flash", "-y", "disk.img", "drive"]).await;
    assert_eq!(broken.code, 1, "{broken}");
    assert!(broken.stderr.contains("--no-bmap"), "{broken}");
    workstation
        .os(&["flash", "-y", "--no-bmap", "disk.img", "drive"])
        .await
        .success();
    assert!(fs_err::read(&drive).unwrap()[..image.len()] == image);
}

#[tokio::test]
async fn of_several_drives_one_that_fails_does_not_hold_up_the_others() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[2]);
    let expected = disk.bytes();
    let image = packed(&disk).remove(3);
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
async fn a_flash_that_was_interrupted_or_killed_does_not_boot_and_goes_on() {
    let workstation = Workstation::new(None);
    let image = noise(100 * MIB, 11);
    let packed = workstation.write("disk.img", &image);
    // This one takes seconds to unpack, on any machine.
    run("bzip2", &["-1", text(&packed)]);
    let drive = workstation.home().join("drive");
    let records = workstation.home().join(".local/state/os/flash");
    let is_noted = || {
        let entries = fs_err::read_dir(&records).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.path());
        names.any(|path| path.extension().is_some_and(|end| end == "json"))
    };
    let program = testkit::programs::built("os");
    let line = format!(
        "echo $$ > pid; exec {} flash disk.img.bz2 drive",
        program.display()
    );
    for signal in ["-INT", "-KILL"] {
        drop(fs_err::remove_file(&drive));
        let running = workstation.start_program(&["sh", "-c", &line]);
        until("some of it is written", async || is_noted().then_some(())).await;
        let pid = fs_err::read_to_string(workstation.home().join("pid")).unwrap();
        workstation.machine.run("kill", &[signal, pid.trim()]);
        let ended = running.output().await;
        let content = fs_err::read(&drive).unwrap();
        assert_ne!(ended.code, 0, "{ended}");
        assert!(content[..4 * MIB].iter().all(|byte| *byte == 0), "{ended}");
        if signal == "-INT" {
            assert_eq!(ended.code, INTERRUPTED, "{ended}");
            assert!(ended.stderr.contains("the same command goes on"), "{ended}");
        }
        let again = workstation
            .os(&["flash", "-y", "disk.img.bz2", "drive"])
            .await;
        again.success();
        assert!(again.stderr.contains("goes on after"), "{again}");
        assert!(fs_err::read(&drive).unwrap() == image);
        assert!(!is_noted(), "{signal}");
    }
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
    let nothing = workstation.os(&["flash", "x", "/dev/nothing"]).await;
    assert_ne!(nothing.code, 0, "{nothing}");
}
