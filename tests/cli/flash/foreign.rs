//! `os flash` of what is no disk image, or not all of one: it costs no drive its content.

use testkit::{Workstation, workstation::Output};

use super::{MIB, noise};
use crate::{
    USAGE,
    disks::{Disk, Layout, SYSTEMS, run},
};

async fn piped(workstation: &Workstation, before: &str, more: &str) -> Output {
    let program = testkit::programs::built("os");
    let line = format!("{before} | {} flash - drive -y {more}", program.display());
    let running = workstation.start_program(&["sh", "-c", &line]);
    running.output().await
}

#[tokio::test]
async fn what_is_no_disk_image_is_named_and_costs_no_drive_its_content() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let folder = disk.path().parent().unwrap().to_owned();
    run("xz", &["-0", "-k", &disk.name()]);
    let zip = folder.join("packed.zip").display().to_string();
    run(
        "zip",
        &["-q", "-0", "-j", &zip, &format!("{}.xz", disk.name())],
    );
    let tar = folder.join("image.tar").display().to_string();
    run(
        "tar",
        &["-cf", &tar, "-C", folder.to_str().unwrap(), "disk.img"],
    );
    let lzma = workstation.write(
        "image.lzma",
        run("xz", &["-0", "-F", "lzma", "-c", &disk.name()]),
    );
    let magic = |magic: &[u8]| [magic, &vec![0; 2 * MIB]].concat();
    let old = noise(9 * MIB, 5);
    let drive = workstation.write("drive", &old);
    let written = |name: &str, bytes: &[u8]| workstation.write(name, bytes).display().to_string();
    for (image, says, next) in [
        (
            written("note.img", b"words\n"),
            "a text",
            "image of a whole disk",
        ),
        (
            written("page.img", b"<!DOCTYPE html><html><body>404</body></html>"),
            "a page of the web",
            "download the image anew",
        ),
        (
            written("a.img.lz4", &magic(b"\x04\x22\x4D\x18")),
            "packed by lz4",
            "lz4 -dc",
        ),
        (
            written("a.qcow2", &magic(b"QFI\xFB")),
            "(qcow2)",
            "qemu-img convert",
        ),
        (
            written("a.7z", &magic(b"7z\xBC\xAF\x27\x1C")),
            "a 7z archive",
            "7z x",
        ),
        (tar, "a tar archive", "tar -xf"),
        (lzma.display().to_string(), "packed by lzma", "xz -dc"),
        (zip, "packed by xz", "more than once"),
        (
            written("noise.img", &noise(2 * MIB, 1)),
            "it may be no disk image",
            "--allow-unknown",
        ),
    ] {
        let refused = workstation.os(&["flash", "-y", &image, "drive"]).await;
        let mut all = vec![refused];
        // Of a pipe, an archive is not unpacked at all.
        if !image.ends_with("zip") {
            all.push(piped(&workstation, &format!("cat '{image}'"), "").await);
            let packed = format!("gzip -c '{image}'");
            all.push(piped(&workstation, &packed, "").await);
        }
        for refused in all {
            assert_eq!(refused.code, 1, "{refused}");
            assert!(refused.stderr.contains(says), "{refused}");
            assert!(refused.stderr.contains(next), "{refused}");
            assert!(!refused.stderr.contains("that was begun"), "{refused}");
            assert!(fs_err::read(&drive).unwrap() == old, "{refused}");
        }
        // A comparison costs nothing.
        let compared = workstation
            .os(&["flash", "--verify-only", &image, "drive"])
            .await;
        assert!(compared.stderr.contains("is another one"), "{compared}");
    }
    let unknown = ["flash", "-y", "--allow-unknown", "noise.img", "drive"];
    workstation.os(&unknown).await.success();
}

#[tokio::test]
async fn an_image_that_never_comes_costs_no_drive_its_content() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let old = noise(9 * MIB, 5);
    let drive = workstation.write("drive", &old);
    let xz = workstation.write("some.xz", &run("xz", &["-0", "-c", &disk.name()])[..1000]);
    workstation.write("note.img", "words");
    let made = workstation.os(&["flash", "-y", "note.img", "new"]).await;
    assert_eq!(made.code, 1, "{made}");
    assert!(!workstation.home().join("new").exists(), "{made}");
    for (before, says) in [
        ("true".to_owned(), "standard input is empty"),
        (format!("cat {}", xz.display()), "cannot be read to its end"),
    ] {
        let failed = piped(&workstation, &before, "").await;
        assert_eq!(failed.code, 1, "{failed}");
        assert!(failed.stderr.contains(says), "{failed}");
        assert!(!failed.stderr.contains("that was begun"), "{failed}");
        assert!(fs_err::read(&drive).unwrap() == old, "{failed}");
    }
    // Where it was, that is told.
    let most = disk.bytes().len() - MIB;
    let cut = format!(
        "head -c {most} '{}' | (cat; exit 0) | gzip -c | head -c -9",
        disk.name()
    );
    let failed = piped(&workstation, &cut, "").await;
    assert_eq!(failed.code, 1, "{failed}");
    assert!(
        failed.stderr.contains("that was begun does not boot"),
        "{failed}"
    );
}

#[tokio::test]
async fn a_drive_without_its_folder_and_a_cut_file_are_told_for_what_they_are() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let mut names = fs_err::read_dir("/sys/class/block").unwrap();
    let name = names
        .next()
        .unwrap()
        .unwrap()
        .file_name()
        .into_string()
        .unwrap();
    let bare = workstation.os(&["flash", "-y", &disk.name(), &name]).await;
    assert_eq!(bare.code, USAGE, "{bare}");
    assert!(
        bare.stderr.contains(&format!("did you mean /dev/{name}?")),
        "{bare}"
    );
    assert!(!workstation.home().join(&name).exists());
    let file = format!("./{name}");
    let made = workstation.os(&["flash", "-y", &disk.name(), &file]).await;
    made.success();
    assert!(made.stderr.contains("is a new file, and whole"), "{made}");

    // Its last bytes say that the image has two GiB more.
    let mut packed = run("gzip", &["-1", "-c", &disk.name()]);
    packed.extend(noise(3 * MIB, 9));
    let end = packed.len() - 4;
    packed[end..].copy_from_slice(&0x8000_00CC_u32.to_le_bytes());
    let image = workstation.write("cut.img.gz", &packed);
    let size = disk.bytes().len();
    let map = format!(
        "<bmap version=\"2.0\"><ImageSize>{size}</ImageSize><BlockSize>4096</BlockSize><ChecksumType>sha256</ChecksumType><BlockMap><Range>0-{}</Range></BlockMap></bmap>",
        size / 4096 - 1
    );
    workstation.write("cut.img.bmap", map);
    let failed = workstation
        .os(&["flash", "-y", image.to_str().unwrap(), "new"])
        .await;
    assert_eq!(failed.code, 1, "{failed}");
    assert!(!failed.stderr.contains("--no-bmap"), "{failed}");
    assert!(
        failed.stderr.contains("something else stands behind"),
        "{failed}"
    );
    let shown = workstation.os(&["image", "inspect", "cut.img.gz"]).await;
    shown.success();
    assert!(
        shown.stdout.contains("the number at the end of its file"),
        "{shown}"
    );
}
