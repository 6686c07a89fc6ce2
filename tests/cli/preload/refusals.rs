//! Images that cannot be preloaded, and why.

use std::path::Path;

use super::{BOOT, BUILD, DATA, Found, Image, MIB, Place};
use crate::disks::run;

#[tokio::test]
async fn images_for_another_processor_are_refused() {
    let place = Place::new().await;
    let image = Image::new(false, "aarch64");
    let before = image.bytes();
    let refused = place.preload(&image.name(), &[]).await;
    assert_eq!(refused.code, BUILD, "{refused}");
    assert!(
        refused.stderr.contains("amd64") && refused.stderr.contains("aarch64"),
        "{refused}"
    );
    assert!(refused.stderr.contains("--on DEVICE"), "{refused}");
    assert!(image.bytes() == before);
    place
        .preload(&image.name(), &["--dont-check-arch"])
        .await
        .success();
}

#[tokio::test]
async fn without_room_or_a_program_the_image_is_as_it_was() {
    let place = Place::new().await;
    let machine = &place.workstation.machine;
    let image = Image::new(false, "amd64");
    let small = machine.dir().join("small");
    fs_err::create_dir(&small).unwrap();
    let folder = small.display().to_string();
    machine.run(
        "mount",
        &["-t", "tmpfs", "-o", "size=80m", "tmpfs", &folder],
    );
    machine.run("cp", &["--sparse=always", &image.name(), &folder]);
    let there = small.join("os.img").display().to_string();
    let sum = || machine.run("sha256sum", &[&there]);
    let before = sum();
    // For the archive there is room, for the image that it is to be in there is none.
    let script =
        format!("head -c 90M /dev/urandom >{folder}/full || truncate -s -3M {folder}/full");
    machine.run("sh", &["-c", &script]);
    let full = place.preload(&there, &[]).await;
    assert_eq!(full.code, 1, "{full}");
    assert!(full.stderr.contains("bytes free, and it takes"), "{full}");
    assert_eq!(sum(), before);
    let more = format!("dd if=/dev/urandom of={folder}/more bs=64k; true");
    machine.run("sh", &["-c", &more]);
    let full = place.preload(&there, &[]).await;
    assert_eq!(full.code, 1, "{full}");
    assert!(full.stderr.contains("No space left"), "{full}");
    assert_eq!(sum(), before);

    let debugfs = ["/usr/sbin/debugfs", "/sbin/debugfs"];
    for path in debugfs.iter().filter(|path| Path::new(path).exists()) {
        machine.run("mount", &["--bind", "/dev/null", path]);
    }
    let before = image.bytes();
    let missing = place.preload(&image.name(), &[]).await;
    assert_eq!(missing.code, 1, "{missing}");
    assert!(
        missing.stderr.contains("`debugfs` is not on this machine"),
        "{missing}"
    );
    assert!(
        missing.stderr.contains("apt install e2fsprogs"),
        "{missing}"
    );
    assert!(image.bytes() == before);
}

#[tokio::test]
async fn what_cannot_be_preloaded_says_why() {
    let place = Place::new().await;
    let image = Image::new(true, "amd64");
    let packed = image.file("os.img.gz");
    fs_err::write(&packed, run("gzip", &["-c", &image.name()])).unwrap();
    let refused = place.preload(&packed, &[]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("is packed"),
        "{refused}"
    );
    let unpacks = format!("`gzip -dc {packed} | cp --sparse=always /dev/stdin");
    assert!(refused.stderr.contains(&unpacks), "{refused}");
    // Something lies behind it, so that it cannot grow.
    let disk = fs_err::OpenOptions::new()
        .write(true)
        .open(image.path())
        .unwrap();
    disk.set_len(u64::try_from(70 * MIB).unwrap()).unwrap();
    image.table("label: gpt\nstart=4MiB,size=16MiB,name=resin-boot\nstart=32MiB,size=4MiB\nstart=40MiB,size=24MiB\nstart=64MiB,size=4MiB\n");
    image.data(24, "full", &vec![1; 18 * MIB]);
    let before = image.bytes();
    let refused = place.preload(&image.name(), &[]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains("another partition lies behind it"),
        "{refused}"
    );
    assert!(image.bytes() == before);
    // With room in it that is no matter.
    let data = image.part("data", 24);
    run("mke2fs", &["-q", "-t", "ext4", "-L", "resin-data", &data]);
    image.put(&data, DATA.0);
    let before = image.bytes();
    place.preload(&image.name(), &[]).await.success();
    let after = image.bytes();
    let (start, end) = (DATA.0 * MIB, (DATA.0 + 24) * MIB);
    assert!(before[..start] == after[..start] && before[end..] == after[end..]);
}

#[tokio::test]
async fn an_image_that_a_device_has_run_from_is_refused_before_anything_is_built() {
    let place = Place::new().await;
    let image = Image::new(true, "amd64");
    image.data(DATA.1, "os-agent/state.json", b"{}");
    let before = image.bytes();
    let refused = place.preload(&image.name(), &[]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("a device has run from"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("preloading"), "{refused}");
    assert!(image.bytes() == before);
}

#[tokio::test]
async fn an_image_that_cannot_be_changed_gets_a_preloaded_one_beside_it() {
    let place = Place::new().await;
    let image = Image::new(false, "amd64");
    // Nor has it anything to boot from.
    let boot = image.part("boot", BOOT.1);
    image.put(&boot, BOOT.0);
    let name = image.name();
    let machine = &place.workstation.machine;
    machine.run("mount", &["--bind", &name, &name]);
    machine.run("mount", &["-o", "remount,bind,ro", &name]);
    let refused = place.preload(&name, &[]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(!refused.stderr.contains("preloading"), "{refused}");
    let other = image.file("other.img");
    place.preload(&name, &["-o", &other]).await.success();
    Found::on(&other, false);
    let nowhere = image.file("nowhere/other.img");
    let refused = place.preload(&name, &["-o", &nowhere]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("cannot be written into"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("preloading"), "{refused}");
}
