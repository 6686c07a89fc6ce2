//! Data partitions that are damaged, and systems that may not take what is preloaded.

use super::{DATA, Image, Place};
use crate::disks::run;

/// Changes the data partition, which has a file, by a command of `debugfs`.
fn change(image: &Image, command: &str) {
    image.data(DATA.1, "kept", &[7; 5000]);
    let data = image.file("data");
    run("debugfs", &["-w", "-R", command, &data]);
    image.put(&data, DATA.0);
}

#[tokio::test]
async fn a_damaged_partition_is_refused_and_what_is_mended_is_told() {
    let place = Place::new().await;
    let image = Image::new(true, "amd64");
    change(&image, "sif /kept mode 040755");
    let before = image.bytes();
    let refused = place.preload(&image.name(), &[]).await;
    assert_eq!(refused.code, 1, "{refused}");
    let says = format!(
        "the file system of partition 4 of {} is damaged",
        image.name()
    );
    assert!(refused.stderr.contains(&says), "{refused}");
    assert!(refused.stderr.contains("incorrect filetype"), "{refused}");
    let next = format!("?offset={}", DATA.0 * 1024 * 1024);
    assert!(refused.stderr.contains(&next), "{refused}");
    assert!(image.bytes() == before);

    change(&image, "sif /kept links_count 7");
    let told = place.preload(&image.name(), &["--json"]).await;
    told.success();
    assert!(told.stderr.contains("was mended: Inode"), "{told}");
    let value = crate::value(&told.stdout);
    assert!(value["mended"][0].is_string(), "{told}");
    // There is no os-release.
    assert!(value["is_taken"].is_null(), "{told}");
    assert!(told.stderr.contains("which system it has"), "{told}");
}

#[tokio::test]
async fn a_system_that_is_not_ours_may_leave_what_is_preloaded() {
    let place = Place::new().await;
    for (release, is_ours) in [
        ("NAME=\"balenaOS\"\nVERSION_ID=\"6.0.0\"\n", false),
        ("NAME=\"os\"\nVERSION_ID=\"1.0.0\"\n", true),
    ] {
        let image = Image::new(false, "amd64");
        let file = place.workstation.write("os-release", release);
        let file = file.display().to_string();
        let put = ["image", "insert", &image.name(), &file];
        place.workstation.os(&put).await.success();
        let told = place.preload(&image.name(), &[]).await;
        told.success();
        assert_eq!(told.stderr.contains("without a network"), is_ours, "{told}");
        let is_warned = told.stderr.contains("its system is balenaOS");
        assert_eq!(is_warned, !is_ours, "{told}");
        let told = place.preload(&image.name(), &["--json"]).await;
        let value = crate::value(&told.stdout);
        assert_eq!(value["is_taken"], is_ours, "{told}");
    }
}
