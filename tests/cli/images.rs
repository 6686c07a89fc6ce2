//! `os image` on images of all layouts and file systems: what they change, and what they do not.

use testkit::Workstation;

use crate::{
    USAGE,
    disks::{Disk, LAYOUTS, Layout, SYSTEMS, run},
    flash::packed,
    value,
};

const CONFIG: &str = "config.json";

#[tokio::test]
async fn an_edit_changes_its_file_and_nothing_else_on_any_disk() {
    let workstation = Workstation::new(None);
    let large = workstation.write("large", vec![b'x'; 100_000]);
    let large = large.to_str().unwrap();
    for (number, layout) in LAYOUTS.into_iter().enumerate() {
        for (index, system) in SYSTEMS.into_iter().enumerate() {
            // Each layout with two file systems, each file system with three layouts.
            if (number + index) % 2 == 1 {
                continue;
            }
            let disk = Disk::new(layout, system);
            let image = disk.name();
            let mut expected = disk.files();
            let before = disk.bytes();
            workstation
                .os(&["config", "write", "hostname", "kitchen", "--drive", &image])
                .await
                .success();
            disk.is_edited(&before, &[CONFIG]);
            expected.insert(CONFIG.to_owned(), br#"{"hostname":"kitchen"}"#.to_vec());
            assert!(disk.files() == expected, "{layout:?} {system:?}");

            let before = disk.bytes();
            let long = "splash/Ein langer Name für ein Bild ☕.png";
            workstation
                .os(&["image", "insert", &image, large, long])
                .await
                .success();
            disk.is_edited(&before, &[long]);
            expected.insert(long.to_owned(), vec![b'x'; 100_000]);
            assert!(disk.files() == expected, "{layout:?} {system:?}");

            // The same once more is no write at all.
            let before = disk.bytes();
            let again = workstation
                .os(&["image", "insert", &image, large, long])
                .await;
            again.success();
            assert!(again.stderr.contains("nothing changed"), "{again}");
            assert!(disk.bytes() == before, "{layout:?} {system:?}");

            let taken = workstation
                .os(&["image", "extract", &image, long, "taken"])
                .await;
            taken.success();
            let taken = fs_err::read(workstation.home().join("taken")).unwrap();
            assert!(taken == vec![b'x'; 100_000]);
        }
    }
}

#[tokio::test]
async fn a_full_partition_and_a_full_root_folder_are_told_and_stay_as_they_are() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Logical, (&["-F", "12", "-r", "64"], 2));
    let image = disk.name();
    let before = disk.bytes();
    let large = workstation.write("large", vec![1; 3_000_000]);
    let refused = workstation
        .os(&["image", "insert", &image, large.to_str().unwrap()])
        .await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("hint: nothing was changed"),
        "{refused}"
    );
    let mut names = Vec::new();
    let small = workstation.write("small", b"x");
    for number in 0..20 {
        let name = format!("a name that takes several entries {number}");
        let put = workstation
            .os(&["image", "insert", &image, small.to_str().unwrap(), &name])
            .await;
        if put.code != 0 {
            assert!(put.stderr.contains("room"), "{put}");
            break;
        }
        names.push(name);
    }
    assert!((1..10).contains(&names.len()), "{names:?}");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    disk.is_edited(&before, &names);
}

#[tokio::test]
async fn an_image_is_shown_with_its_layout_system_board_and_configuration() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Logical, SYSTEMS[1]);
    let image = disk.name();
    let release = workstation.write("os-release", "NAME=\"os\"\nVERSION_ID=\"1.2.3\"\n");
    workstation
        .os(&["image", "insert", &image, release.to_str().unwrap()])
        .await
        .success();
    let config = workstation.write(
        "config",
        r#"{"apiKey":"geheim","hostname":"kitchen","vpnPort":true}"#,
    );
    let refused = workstation
        .os(&["config", "inject", config.to_str().unwrap(), "-d", &image])
        .await;
    assert_eq!(refused.code, USAGE, "{refused}");
    workstation
        .os(&["image", "insert", &image, config.to_str().unwrap(), CONFIG])
        .await
        .success();

    let shown = workstation.os(&["image", "inspect", &image]).await;
    shown.success();
    assert!(shown.stderr.contains("`vpnPort` wants"), "{shown}");
    for words in [
        "os 1.2.3",
        "board",
        "aarch64",
        "FAT16: called resin-boot",
        "hostname = \"kitchen\"",
        "(hidden)",
    ] {
        assert!(shown.stdout.contains(words), "{words}: {shown}");
    }
    assert!(!shown.stdout.contains("geheim"), "{shown}");

    let json = workstation
        .os(&["image", "inspect", &image, "--json"])
        .await;
    json.success();
    assert!(!json.stdout.contains("geheim"), "{json}");
    let json = value(&json.stdout);
    assert_eq!(json["table"], "mbr");
    assert_eq!(json["boot"]["partition"], 5);
    assert_eq!(json["system"]["version"], "1.2.3");
    assert_eq!(json["device_type"], "board");
    assert_eq!(json["connections"][0], "Ein Netz für die Küche ☕");
    let numbers: Vec<_> = json["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["number"].as_u64())
        .collect();
    assert_eq!(numbers, [Some(1), Some(5), Some(6)]);

    let listed = workstation.os(&["image", "list", &image]).await;
    listed.success();
    assert!(
        listed.stdout.contains("system-connections/") && listed.stdout.contains("os-release"),
        "{listed}"
    );
    let nothing = workstation
        .os(&["image", "extract", &image, "nothing"])
        .await;
    assert_eq!(nothing.code, 1, "{nothing}");
    assert!(nothing.stderr.contains("os image list"), "{nothing}");
}

#[tokio::test]
async fn a_packed_image_keeps_its_format_and_is_unpacked_as_far_as_it_has_to_be() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let expected = disk.bytes();
    for (program, name, format) in [
        (&["gzip", "-1", "-k"][..], "disk.img.gz", "gzip"),
        (&["xz", "-0", "-k"], "disk.img.xz", "xz"),
        (&["zstd", "-q", "-1"], "disk.img.zst", "zstd"),
        (&["bzip2", "-1", "-k"], "disk.img.bz2", "bzip2"),
        (&["zip", "-q", "-1", "-j"], "disk.zip", "zip"),
    ] {
        let packed = disk.path().with_file_name(name);
        let packed = packed.to_str().unwrap();
        let image = disk.name();
        let rest: &[&str] = if format == "zip" {
            &[packed, &image]
        } else {
            &[&image]
        };
        run(program[0], &[&program[1..], rest].concat());
        let json = workstation
            .os(&["image", "inspect", "--json", packed])
            .await;
        json.success();
        let json = value(&json.stdout);
        assert_eq!(json["format"], format);
        // Those would be found behind it.
        assert_eq!(json["more_partitions"], true);
        let unpacked = json["unpacked"].as_u64().unwrap();
        assert!(
            unpacked < u64::try_from(expected.len()).unwrap(),
            "{format}: {unpacked}"
        );

        let file = fs_err::metadata(packed).unwrap();
        workstation
            .os(&["config", "write", "hostname", "kitchen", "-d", packed])
            .await
            .success();
        let read = workstation
            .os(&["config", "read", "hostname", "-d", packed])
            .await;
        assert_eq!(read.stdout, "kitchen\n");
        assert_eq!(
            fs_err::metadata(packed).unwrap().permissions(),
            file.permissions()
        );
        let left = fs_err::read_dir(disk.path().parent().unwrap()).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            left.iter()
                .all(|name| !name.to_string_lossy().starts_with('.')),
            "{left:?}"
        );

        // Unpacked by others it is the image that is edited in place.
        let unpacked = match format {
            "zip" => run("unzip", &["-p", packed]),
            _ => run(program[0], &["-d", "-c", packed]),
        };
        assert_eq!(unpacked.len(), expected.len());
        fs_err::write(disk.path(), &unpacked).unwrap();
        disk.is_edited(&expected, &[CONFIG]);
        fs_err::write(disk.path(), &expected).unwrap();

        // One that was cut off stays as it is.
        let whole = fs_err::read(packed).unwrap();
        fs_err::write(packed, &whole[..whole.len() - 20]).unwrap();
        let refused = workstation
            .os(&["config", "write", "hostname", "bath", "-d", packed])
            .await;
        assert_eq!(refused.code, 1, "{format}: {refused}");
        assert!(!refused.stderr.contains("panicked"), "{refused}");
        assert!(
            fs_err::read(packed).unwrap() == whole[..whole.len() - 20],
            "{format}"
        );
    }
}

#[tokio::test]
async fn the_size_of_a_packed_image_is_told_as_far_as_its_file_says_it() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let size = disk.bytes().len();
    let images = packed(&disk);
    for (image, exact, least) in [
        (0, Some(size), size),
        // The number at its end is no more than a hint.
        (1, None, 0),
        (2, Some(size), size),
        (3, Some(size), size),
        (4, None, 0),
        (5, Some(size), size),
    ] {
        let image = images[image].to_str().unwrap();
        // Packed again by us, it says no less.
        for is_changed in [false, true] {
            if is_changed {
                let change = ["config", "write", "hostname", "kitchen", "-d", image];
                workstation.os(&change).await.success();
            }
            let told = workstation.os(&["image", "inspect", "--json", image]).await;
            let told = value(&told.stdout);
            assert_eq!(told["size"], serde_json::json!(exact), "{image}");
            assert_eq!(told["size_at_least"], least, "{image}");
            let said = if image.ends_with("gz") { size } else { least };
            assert_eq!(told["size_said"], said, "{image}");
        }
    }
    // Of one that was cut off, all else is told.
    let image = &images[2];
    let whole = fs_err::read(image).unwrap();
    fs_err::write(image, &whole[..whole.len() - 20]).unwrap();
    let told = workstation
        .os(&["image", "inspect", image.to_str().unwrap()])
        .await;
    told.success();
    assert!(told.stdout.contains("board"), "{told}");
    assert!(told.stdout.contains("it was cut off"), "{told}");
}

#[tokio::test]
async fn a_folder_without_room_for_what_is_unpacked_is_named() {
    let mut workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    run("gzip", &["-1", "-k", &disk.name()]);
    let packed = format!("{}.gz", disk.name());
    let folder = workstation.home().join("unpacked");
    fs_err::create_dir(&folder).unwrap();
    let folder = folder.to_str().unwrap();
    workstation.set("TMPDIR", folder);
    // Of 5 MiB, the root (from 20 MiB on) is not found; of none, not even the table is.
    for size in ["5m", "4k"] {
        let options = format!("size={size}");
        let mount = ["-t", "tmpfs", "-o", &options, "tmpfs", folder];
        workstation.machine.run("mount", &mount);
        let told = workstation.os(&["image", "inspect", &packed]).await;
        workstation.machine.run("umount", &[folder]);
        assert_eq!(told.code, 1, "{size}: {told}");
        assert!(told.stderr.contains(folder), "{size}: {told}");
        assert!(told.stderr.contains("No space left"), "{size}: {told}");
        assert!(told.stderr.contains("TMPDIR"), "{size}: {told}");
    }
}

#[tokio::test]
async fn what_is_no_image_is_told() {
    let workstation = Workstation::new(None);
    workstation.write("text", "no image\n");
    workstation.write("zeros", vec![0; 1 << 20]);
    workstation.write("empty", "");
    fs_err::create_dir(workstation.home().join("folder")).unwrap();
    for (name, words) in [
        ("text", "it is no disk image"),
        ("zeros", "it is no disk image"),
        ("empty", "it is no disk image"),
        ("folder", "neither a file nor a drive"),
        ("nothing", "No such file"),
    ] {
        for verb in [
            &["image", "inspect", name][..],
            &["configure", name, "--dev"],
        ] {
            let refused = workstation.os(verb).await;
            assert_eq!(refused.code, 1, "{verb:?}: {refused}");
            assert!(refused.stderr.contains(words), "{verb:?}: {refused}");
        }
    }
}
