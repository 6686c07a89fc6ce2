//! Block maps: as `os flash` uses them, and set aside once their image is changed.

use testkit::Workstation;

use crate::{
    disks::{Disk, Layout, SYSTEMS, run},
    flash::{MIB, drives::Loop, noise},
    value,
};

/// The map of an image, with its checksums.
fn map(image: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), image).unwrap();
    let sum = run("sha256sum", &[file.path().to_str().unwrap()]);
    let sum = String::from_utf8(sum).unwrap();
    let sum = sum.split(' ').next().unwrap();
    let blocks = image.len() / 4096;
    assert_eq!(blocks * 4096, image.len());
    format!(
        "<bmap version=\"2.0\"><ImageSize>{}</ImageSize><BlockSize>4096</BlockSize><ChecksumType>sha256</ChecksumType><BlockMap><Range chksum=\"{sum}\">0-{}</Range></BlockMap></bmap>",
        image.len(),
        blocks - 1
    )
}

#[tokio::test]
async fn a_changed_image_is_flashed_without_the_block_map_of_what_it_was() {
    let workstation = Workstation::new(None);
    for (packing, named) in [
        (None, "disk.img.bmap"),
        (Some("gzip"), "disk.img.bmap"),
        (Some("gzip"), "disk.img.gz.bmap"),
    ] {
        let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
        let folder = disk.path().parent().unwrap().to_owned();
        let beside = folder.join(named);
        fs_err::write(&beside, map(&disk.bytes())).unwrap();
        let image = match packing {
            None => disk.name(),
            Some(program) => {
                run(program, &["-1", &disk.name()]);
                format!("{}.gz", disk.name())
            }
        };
        let set = ["config", "write", "hostname", "kitchen", "--drive", &image];
        // By a link, too.
        let link = folder.join("link");
        std::os::unix::fs::symlink(&image, &link).unwrap();
        let set = if named == "disk.img.gz.bmap" {
            let link = link.to_str().unwrap();
            let words = ["config", "write", "hostname", "kitchen", "--drive", link];
            words.map(str::to_owned)
        } else {
            set.map(str::to_owned)
        };
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let changed = workstation.os(&[&set[..], &["--json"]].concat()).await;
        changed.success();
        let maps = &value(&changed.stdout)["block_maps"];
        let old = format!("{}.old", beside.display());
        assert_eq!(maps[0]["renamed_to"], old, "{changed}");
        assert!(
            changed
                .stderr
                .contains("may not be of what the image holds"),
            "{changed}"
        );
        assert!(!beside.exists() && fs_err::exists(&old).unwrap());
        let written = workstation.os(&["flash", "-y", &image, "new"]).await;
        written.success();
        // What changes nothing leaves the map of what is there.
        fs_err::write(&beside, "new").unwrap();
        workstation.os(&set).await.success();
        assert!(beside.exists());
        drop(fs_err::remove_file(workstation.home().join("new")));
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
    let drive = Loop::new(workstation.home().join("card"), &old);
    let flash = [
        "flash",
        "-y",
        "disk.img",
        &drive.path,
        "--allow-unknown",
        "--allow-fixed",
    ];
    let written = workstation.os(&[&flash[..], &["--json"]].concat()).await;
    written.success();
    assert!(
        written.stderr.contains("it may be no disk image"),
        "{written}"
    );
    let value = value(&written.stdout);
    assert_eq!(value["drives"][0]["verified"], 8192 + 1024 * 1024);
    let content = drive.content();
    assert!(content[..4 * MIB] == image[..4 * MIB]);
    assert!(content[4 * MIB..9 * MIB] == old[4 * MIB..9 * MIB]);
    assert!(content[9 * MIB..10 * MIB] == image[9 * MIB..10 * MIB]);
    workstation
        .os(&[
            "flash",
            "--verify-only",
            "--allow-fixed",
            "disk.img",
            &drive.path,
        ])
        .await
        .success();
    let all = [
        "flash",
        "--verify-only",
        "--allow-fixed",
        "--no-bmap",
        "disk.img",
        &drive.path,
    ];
    assert_eq!(workstation.os(&all).await.code, 1);

    workstation.write("disk.img.bmap", map("0-1 2304-2558"));
    let lied = workstation.os(&flash).await;
    assert_eq!(lied.code, 1, "{lied}");
    assert!(lied.stderr.contains("which is not empty"), "{lied}");
    let content = drive.content();
    assert!(content[..4 * MIB].iter().all(|byte| *byte == 0));
    workstation.write("disk.img.bmap", "<bmap");
    let broken = workstation.os(&flash).await;
    assert_eq!(broken.code, 1, "{broken}");
    assert!(broken.stderr.contains("--no-bmap"), "{broken}");
    workstation
        .os(&[&flash[..], &["--no-bmap"]].concat())
        .await
        .success();
    assert!(drive.content()[..image.len()] == image);
}

#[tokio::test]
async fn a_file_that_is_written_over_has_no_block_map_of_what_it_was() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let at = |name: &str| workstation.home().join(name);
    let is_moved = |name: &str| {
        let old = at(&format!("{name}.old"));
        let is_moved = !at(name).exists() && old.exists();
        drop(fs_err::remove_file(old));
        is_moved
    };
    let lay = |name: &str| {
        workstation.write(name, "map");
    };
    // Written to.
    workstation.write("a.img", noise(MIB, 3));
    for name in ["a.img.bmap", "b.img.bmap"] {
        lay(name);
    }
    let flash = ["flash", "-y", &disk.name(), "a.img", "b.img", "--json"];
    let written = workstation.os(&flash).await;
    written.success();
    assert!(is_moved("a.img.bmap"), "{written}");
    let told = &value(&written.stdout)["drives"];
    let old = at("a.img.bmap.old").display().to_string();
    assert_eq!(told[0]["block_maps"][0]["renamed_to"], old);
    assert!(
        written
            .stderr
            .contains("may not be of what the image holds"),
        "{written}"
    );
    // What is made is not what the map is of that somebody left.
    assert!(is_moved("b.img.bmap"), "{written}");
    // Compared, it stays what it is.
    lay("a.img.bmap");
    let compared = ["flash", "--verify-only", "--no-bmap", &disk.name(), "a.img"];
    workstation.os(&compared).await.success();
    assert!(at("a.img.bmap").exists());
    // Another one takes its place.
    let source = format!("file://{}", disk.name());
    let download = ["download", &source, "--output", "a.img"];
    let refused = workstation.os(&download).await;
    assert_eq!(refused.code, crate::USAGE, "{refused}");
    assert!(at("a.img.bmap").exists(), "{refused}");
    let replaced = workstation
        .os(&[&download[..], &["--force"]].concat())
        .await;
    replaced.success();
    assert!(is_moved("a.img.bmap"), "{replaced}");
    assert!(
        replaced
            .stderr
            .contains("may not be of what the image holds"),
        "{replaced}"
    );
}

#[tokio::test]
async fn a_file_that_is_written_over_by_a_block_map_holds_nothing_but_the_image() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let at = |name: &str| workstation.home().join(name);
    let mut bytes = disk.bytes();
    let is_zero = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    let blocks = bytes.chunks(4096).enumerate();
    let ranges: Vec<String> = blocks
        .filter(|(_, block)| !is_zero(block))
        .map(|(number, _)| format!("<Range>{number}</Range>"))
        .collect();
    let map = format!(
        "<bmap version=\"2.0\"><ImageSize>{}</ImageSize><BlockSize>4096</BlockSize><BlockMap>{}</BlockMap></bmap>",
        bytes.len(),
        ranges.concat()
    );
    fs_err::write(format!("{}.bmap", disk.name()), map).unwrap();
    workstation.write("a.img", noise(bytes.len(), 3));
    let written = workstation
        .os(&["flash", "-y", "--verbose", &disk.name(), "a.img"])
        .await;
    written.success();
    assert!(written.stderr.contains(".bmap"), "{written}");
    assert!(fs_err::read(at("a.img")).unwrap() == bytes);
    // A byte that the map leaves out counts when the file is compared, too.
    let left_out = bytes.chunks(4096).rposition(is_zero).unwrap();
    bytes[left_out * 4096] = 1;
    workstation.write("a.img", bytes);
    let compared = workstation
        .os(&["flash", "--verify-only", &disk.name(), "a.img"])
        .await;
    assert_ne!(compared.code, 0, "{compared}");
}

#[tokio::test]
async fn a_packed_image_that_was_changed_is_flashed_whatever_lay_beside_it_then() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let (plain, packed) = (disk.name(), format!("{}.xz", disk.name()));
    let beside = std::path::PathBuf::from(format!("{plain}.bmap"));
    fs_err::write(&beside, map(&disk.bytes())).unwrap();
    run("xz", &["-0", "-k", &plain]);
    let passed_over = workstation.os(&["flash", "-y", &packed, "one"]).await;
    passed_over.success();
    let words = format!("--bmap {} takes it", beside.display());
    assert!(passed_over.stderr.contains(&words), "{passed_over}");
    let set = ["config", "write", "hostname", "kitchen", "--drive", &packed];
    workstation.os(&set).await.success();
    // The packed one is alone, and is not what the map was made of.
    fs_err::remove_file(&plain).unwrap();
    let written = workstation.os(&["flash", "-y", &packed, "two"]).await;
    written.success();
    assert!(!beside.exists(), "{written}");
}

#[tokio::test]
async fn what_is_made_is_flashed_whatever_map_was_left_of_its_name() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let at = |name: &str| workstation.home().join(name);
    let source = format!("file://{}", disk.name());
    for made in [
        &["flash", "-y", &disk.name(), "os.img"][..],
        &["download", &source, "--output", "os.img", "--json"],
    ] {
        workstation.write("os.img.bmap", map(&noise(MIB, 3)));
        let made = workstation.os(made).await;
        made.success();
        workstation
            .os(&["flash", "-y", "os.img", "drive"])
            .await
            .success();
        for name in ["os.img", "drive", "os.img.bmap.old"] {
            fs_err::remove_file(at(name)).unwrap();
        }
    }
    // The map by which it is written is its own.
    workstation.write("os.img.bmap", map(&disk.bytes()));
    let by_it = [
        "flash",
        "-y",
        &disk.name(),
        "os.img",
        "--bmap",
        "os.img.bmap",
    ];
    for _ in 0..2 {
        workstation.os(&by_it).await.success();
        assert!(at("os.img.bmap").exists());
    }
    // That of a link is of what it leads to.
    workstation.write("link.bmap", "map");
    std::os::unix::fs::symlink("os.img", at("link")).unwrap();
    let linked = ["download", &source, "-o", "link", "--force", "--json"];
    let linked = workstation.os(&linked).await;
    linked.success();
    assert!(at("link").is_symlink() && at("link.bmap.old").exists());
    let told = &value(&linked.stdout)["block_maps"];
    assert_eq!(told.as_array().map(Vec::len), Some(2), "{linked}");
}

#[tokio::test]
async fn names_that_are_no_text_are_told_as_far_as_they_are() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let os = testkit::programs::built("os");
    let os = os.display();
    let image = disk.name();
    for words in [
        format!("download file://{image} --json -o"),
        format!("image extract {image} device-type.json --json"),
    ] {
        let line = format!("exec {os} {words} \"$(printf 'a\\377')\"");
        let told = workstation.start_program(&["sh", "-c", &line]);
        let told = told.output().await;
        told.success();
        assert!(told.stdout.contains("a\u{fffd}"), "{told}");
    }
}

#[tokio::test]
async fn what_is_said_of_an_image_sends_nothing_to_the_terminal() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = workstation.home().join("a\u{1b}[31m.img");
    fs_err::copy(disk.path(), &image).unwrap();
    let image = image.to_str().unwrap();
    let set = ["config", "write", "hostname", "kitchen", "--drive", image];
    for words in ["wrote config.json", "nothing changed: "] {
        let told = workstation.os(&set).await;
        told.success();
        assert!(told.stderr.contains(words), "{told}");
        assert!(!told.stderr.contains('\u{1b}'), "{told}");
    }
}
