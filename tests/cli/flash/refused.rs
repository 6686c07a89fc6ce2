//! `os flash` of images that are wrong: cut off, damaged, not there.

use testkit::Workstation;

use super::{MIB, noise, packed, text};
use crate::{
    USAGE,
    disks::{Disk, Layout, SYSTEMS},
};

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
    let value: serde_json::Value = serde_json::from_str(&odd.stdout).unwrap();
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
