//! `os flash` to files: every packing, block maps, pipes, and what a cut leaves.

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::{Workstation, until::until};

use crate::{
    USAGE,
    disks::{Disk, LAYOUTS, Layout, SYSTEMS, run},
};

pub(crate) const MIB: usize = 1024 * 1024;
const INTERRUPTED: i32 = 130;

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
async fn an_image_that_is_cut_off_or_damaged_leaves_nothing_that_boots() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[2]);
    let size = disk.bytes().len();
    for image in packed(&disk).iter().skip(1) {
        let whole = fs_err::read(image).unwrap();
        let mut damaged = whole.clone();
        let middle = whole.len() / 2;
        // One byte alone may be one that no bit of the image depends on: a code that is never used.
        for byte in &mut damaged[middle..middle + 64] {
            *byte ^= 0x55;
        }
        for bytes in [&whole[..whole.len() - 9], &damaged] {
            fs_err::write(image, bytes).unwrap();
            let old = noise(size + MIB, 5);
            let drive = workstation.write("drive", &old);
            let failed = workstation.os(&["flash", "-y", text(image), "drive"]).await;
            assert_eq!(failed.code, 1, "{failed}");
            let content = fs_err::read(drive).unwrap();
            let is_clear = content[..4 * MIB].iter().all(|byte| *byte == 0);
            // An archive is seen to be cut before anything is written, and so is what lists its blocks or says how long they are.
            assert!(is_clear || content == old, "{failed}");
            let is_cut = bytes.len() < whole.len();
            let is_known = ["xz", "zst", "zip"].map(|end| text(image).ends_with(end));
            assert!(
                !is_cut || (content == old) == is_known.contains(&true),
                "{failed}"
            );
            let is_archive = text(image).ends_with("zip");
            let has_hint = failed.stderr.contains("make it anew");
            assert!(is_archive || has_hint, "{failed}");
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
    let flash = ["flash", "-y", "disk.img", "drive", "--allow-unknown"];
    let written = workstation.os(&[&flash[..], &["--json"]].concat()).await;
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
    let lied = workstation.os(&flash).await;
    assert_eq!(lied.code, 1, "{lied}");
    assert!(lied.stderr.contains("which is not empty"), "{lied}");
    let content = fs_err::read(&drive).unwrap();
    assert!(content[..4 * MIB].iter().all(|byte| *byte == 0));
    workstation.write("disk.img.bmap", "<bmap");
    let broken = workstation.os(&flash).await;
    assert_eq!(broken.code, 1, "{broken}");
    assert!(broken.stderr.contains("--no-bmap"), "{broken}");
    workstation
        .os(&[&flash[..], &["--no-bmap"]].concat())
        .await
        .success();
    assert!(fs_err::read(&drive).unwrap()[..image.len()] == image);
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
        "echo $$ > pid; exec {} flash --allow-unknown disk.img.bz2 drive",
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
            .os(&["flash", "-y", "--allow-unknown", "disk.img.bz2", "drive"])
            .await;
        again.success();
        assert!(again.stderr.contains("goes on after"), "{again}");
        assert!(fs_err::read(&drive).unwrap() == image);
        assert!(!is_noted(), "{signal}");
    }
}

#[tokio::test]
async fn what_is_known_to_be_wrong_costs_no_drive_its_content() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[0]);
    let images = packed(&disk);
    let [image, gz, xz] = [0, 1, 2].map(|index| text(&images[index]));
    let (image_before, gz_before) = (disk.bytes(), fs_err::read(gz).unwrap());
    let old = noise(9 * MIB, 5);
    let drive = workstation.write("drive", &old);
    workstation.write("empty", "");
    workstation.write("small.img", noise(MIB, 1));
    workstation.write(
        "small.img.bmap",
        "<bmap version=\"2.0\"><ImageSize>8192</ImageSize><BlockSize>4096</BlockSize>\
         <BlocksCount>2</BlocksCount><MappedBlocksCount>2</MappedBlocksCount>\
         <ChecksumType>sha256</ChecksumType><BlockMap><Range>0-1</Range></BlockMap></bmap>",
    );
    for (words, code, says) in [
        // Who names several images means none of them as a drive.
        (
            &["flash", xz, gz, "drive", "-y"][..],
            USAGE,
            "is a packed image",
        ),
        (&["flash", "empty", "drive", "-y"], 1, "is empty"),
        (
            &["flash", "small.img", "drive", "-y", "--allow-unknown"],
            1,
            "block map",
        ),
        (
            &["flash", "gone.img", "drive", "-y"],
            1,
            "gone.img is not there",
        ),
        (
            &["flash", "small.img", "drive", "-y", "--bmap", "gone.bmap"],
            1,
            "gone.bmap is not there",
        ),
    ] {
        let refused = workstation.os(words).await;
        assert_eq!(refused.code, code, "{refused}");
        assert!(refused.stderr.contains(says), "{refused}");
        assert!(!refused.stderr.contains("metadata"), "{refused}");
    }
    // What is read may not be written, by whatever way it comes.
    let line = format!(
        "exec {} flash - {image} -y < {image}",
        testkit::programs::built("os").display()
    );
    let itself = workstation
        .start_program(&["sh", "-c", &line])
        .output()
        .await;
    assert_eq!(itself.code, USAGE, "{itself}");
    assert!(itself.stderr.contains("the image itself"), "{itself}");
    assert!(fs_err::read(&drive).unwrap() == old);
    assert!(fs_err::read(gz).unwrap() == gz_before);
    assert!(disk.bytes() == image_before);
    // A name that is no text is told as well as it can be.
    let line = format!(
        "exec {} flash --json -y {image} \"$(printf 'a\\377')\"",
        testkit::programs::built("os").display()
    );
    let odd = workstation
        .start_program(&["sh", "-c", &line])
        .output()
        .await;
    odd.success();
    let value: Value = serde_json::from_str(&odd.stdout).unwrap();
    assert!(value["drives"][0]["error"].is_null(), "{odd}");
}

#[tokio::test]
async fn an_image_that_ends_before_its_partitions_do_costs_no_drive_its_content() {
    let workstation = Workstation::new(None);
    let old = noise(9 * MIB, 5);
    for layout in [Layout::Mbr, Layout::Logical, Layout::Gpt] {
        let disk = Disk::new(layout, SYSTEMS[1]);
        let whole = disk.bytes();
        let has = whole.len() - 13 * MIB;
        fs_err::write(disk.path(), &whole[..has]).unwrap();
        let images = packed(&disk);
        let told = format!("has {has} bytes, and its partition ");
        // As it is, it may have been cut on its way.
        let drive = workstation.write("drive", &old);
        let words = ["flash", "-y", text(&images[0]), "drive"];
        let refused = workstation.os(&words).await;
        assert_eq!(refused.code, 1, "{refused}");
        assert!(refused.stderr.contains(&told), "{refused}");
        assert!(refused.stderr.contains("--allow-short"), "{refused}");
        assert!(fs_err::read(&drive).unwrap() == old, "{refused}");
        let written = workstation
            .os(&[&words[..], &["--allow-short"]].concat())
            .await;
        written.success();
        assert!(written.stderr.contains(&told), "{written}");
        assert!(
            fs_err::read(&drive).unwrap()[..has] == whole[..has],
            "{written}"
        );
        // What is packed was not: some images leave out what is empty at their end.
        for image in &images[1..] {
            let drive = workstation.write("drive", &old);
            let written = workstation.os(&["flash", "-y", text(image), "drive"]).await;
            written.success();
            assert!(written.stderr.contains(&told), "{written}");
            assert!(
                fs_err::read(&drive).unwrap()[..has] == whole[..has],
                "{written}"
            );
        }
    }
    // Where all partitions are in it, the copy of their table may be missing.
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    let whole = disk.bytes();
    let short = &whole[..whole.len() - 11 * MIB];
    workstation.write("short.img", short);
    let written = workstation.os(&["flash", "-y", "short.img", "drive"]).await;
    written.success();
    assert!(
        written.stderr.contains("the copy of its partition table"),
        "{written}"
    );
    assert!(
        !workstation
            .os(&["flash", "-y", &disk.name(), "drive"])
            .await
            .stderr
            .contains("copy")
    );
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
