//! Images, and the files that `os image`, `os config` and `os configure` take, make and replace: whose they are, and what is left of them.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use rustix::fs::{FlockOperation, XattrFlags, flock, getxattr, setxattr};
use testkit::Workstation;
use testkit::programs::built;

use crate::disks::{Disk, Layout, SYSTEMS, run};

fn bits(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A pipe with a name, and whoever reads it to its end.
fn pipe(path: &Path) -> std::thread::JoinHandle<Vec<u8>> {
    run("mkfifo", &[path.to_str().unwrap()]);
    let path = path.to_owned();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        fs::File::open(path).unwrap().read_to_end(&mut all).unwrap();
        all
    })
}

#[tokio::test]
async fn what_is_taken_out_is_whole_and_its_secrets_are_its_owners() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    workstation
        .os(&["config", "write", "hostname", "kitchen", "-d", &image])
        .await
        .success();
    let home = workstation.home();
    let net = "system-connections/Ein Netz für die Küche ☕";
    let extract = async |file: &str, to: &str| {
        workstation
            .os(&["image", "extract", &image, file, to])
            .await
            .success();
    };
    // One that is open to all is closed.
    workstation.write("config.json", "old");
    extract("config.json", "config.json").await;
    extract(net, "net").await;
    extract("device-type.json", "type").await;
    assert_eq!(bits(&home.join("config.json")), 0o600);
    assert_eq!(bits(&home.join("net")), 0o600);
    assert_eq!(bits(&home.join("type")), 0o644);
    // The old one is not written over, and a link stays one.
    fs::write(home.join("target"), "old").unwrap();
    fs::hard_link(home.join("target"), home.join("twin")).unwrap();
    symlink("target", home.join("link")).unwrap();
    extract("device-type.json", "link").await;
    assert_eq!(fs::read_to_string(home.join("twin")).unwrap(), "old");
    assert!(home.join("link").is_symlink());
    let board = fs::read(home.join("type")).unwrap();
    assert_eq!(fs::read(home.join("target")).unwrap(), board);
    // What is no file is written to.
    let reader = pipe(&home.join("pipe"));
    extract("device-type.json", "pipe").await;
    assert_eq!(reader.join().unwrap(), board);
}

#[tokio::test]
async fn a_configuration_that_is_made_replaces_neither_links_nor_devices() {
    let workstation = Workstation::new(None);
    let home = workstation.home();
    let generate = async |to: &str| {
        let words = ["config", "generate", "--device-type", "board", "-o", to];
        workstation.os(&words).await.success();
    };
    workstation.write("below/made.json", "old");
    symlink("below/made.json", home.join("link")).unwrap();
    generate("link").await;
    assert!(home.join("link").is_symlink());
    let made = home.join("below/made.json");
    let expected = r#"{"deviceType":"board"}"#;
    assert_eq!(fs::read_to_string(&made).unwrap(), expected);
    assert_eq!(bits(&made), 0o600);
    let reader = pipe(&home.join("pipe"));
    generate("pipe").await;
    assert_eq!(reader.join().unwrap(), expected.as_bytes());
}

#[tokio::test]
async fn a_packed_image_stays_whose_it_was() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[0]);
    run("gzip", &["-1", &disk.name()]);
    let packed = disk.path().with_extension("img.gz");
    let name = packed.to_str().unwrap();
    chown(&packed, Some(1234), Some(2345)).unwrap();
    fs::set_permissions(&packed, PermissionsExt::from_mode(0o640)).unwrap();
    // Not all file systems have those.
    let has_more = setxattr(&packed, "user.origin", b"here", XattrFlags::empty()).is_ok();
    workstation
        .os(&["config", "write", "hostname", "kitchen", "-d", name])
        .await
        .success();
    // Another name keeps the old one, and whoever has it is told so.
    let twin = packed.with_extension("twin");
    fs::hard_link(&packed, &twin).unwrap();
    let words = ["config", "write", "hostname", "bath", "-d", name];
    let told = workstation.os(&words).await;
    told.success();
    assert!(told.stderr.contains("hard links"), "{told}");
    let same = workstation.os(&words).await;
    assert!(!same.stderr.contains("hard links"), "{same}");
    assert!(fs::read(&twin).unwrap() != fs::read(&packed).unwrap());
    let after = fs::metadata(&packed).unwrap();
    assert_eq!((after.uid(), after.gid()), (1234, 2345));
    assert_eq!(bits(&packed), 0o640);
    if has_more {
        let mut value = [0; 16];
        let count = getxattr(&packed, "user.origin", &mut value).unwrap();
        assert_eq!(&value[..count], b"here");
    }
}

#[tokio::test]
async fn a_file_may_be_as_large_as_the_partition_has_room() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[2]);
    let image = disk.name();
    let large = vec![7; 20 * 1024 * 1024];
    workstation.write("large", &large);
    workstation
        .os(&["image", "insert", &image, "large"])
        .await
        .success();
    assert!(disk.files()["large"] == large);
    workstation.write("larger", vec![7; 50 * 1024 * 1024]);
    let before = disk.bytes();
    let refused = workstation.os(&["image", "insert", &image, "larger"]).await;
    assert_ne!(refused.code, 0, "{refused}");
    assert!(disk.bytes() == before);
}

#[tokio::test]
async fn a_file_goes_into_a_folder_that_is_there_and_can_be_removed() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    workstation.write("home", "[connection]\nid=home\ntype=ethernet\n");
    workstation
        .os(&["image", "insert", &image, "home", "system-connections"])
        .await
        .success();
    assert!(disk.files().contains_key("system-connections/home"));
    let before = disk.bytes();
    let nothing = ["config", "write", "hostname", "--remove", "-d", &image];
    workstation.os(&nothing).await.success();
    assert!(disk.bytes() == before, "a config.json was made");
    let remove = ["image", "remove", &image, "system-connections/home", "gone"];
    let removed = workstation.os(&remove).await;
    removed.success();
    assert!(
        removed.stderr.contains("removed system-connections/home"),
        "{removed}"
    );
    disk.is_edited(&before, &["system-connections/home"]);
    assert!(!disk.files().contains_key("system-connections/home"));
}

#[tokio::test]
async fn no_room_for_what_is_unpacked_is_told_as_that() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    run("gzip", &["-1", &disk.name()]);
    let image = format!("{}.gz", disk.name());
    let small = workstation.home().join("small");
    fs::create_dir(&small).unwrap();
    let words =
        "mount -t tmpfs -o size=64k none \"$1\" && TMPDIR=\"$1\" exec \"$2\" image inspect \"$3\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", words, "sh"])
        .arg(&small)
        .arg(built("os"))
        .arg(&image)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("No space left"), "{said}");
}

/// A disk as clouds have it: the partition that comes first is no FAT, and the last one by its number is.
fn of_a_cloud(disk: &Disk, script: &str) {
    fs::write(disk.path(), vec![0; 48 * 1024 * 1024]).unwrap();
    let file = disk.path().with_file_name("script");
    fs::write(&file, script).unwrap();
    let words = "sfdisk -q \"$1\" < \"$2\"";
    run(
        "sh",
        &["-c", words, "sh", &disk.name(), file.to_str().unwrap()],
    );
    let part = disk.path().with_file_name("part");
    let put = |mkfs: &[&str], at: &str| {
        fs::write(&part, vec![0; 8 * 1024 * 1024]).unwrap();
        let name = part.to_str().unwrap();
        run(mkfs[0], &[&mkfs[1..], &[name]].concat());
        let (from, to) = (format!("if={name}"), format!("of={}", disk.name()));
        let dd = [
            "bs=1M",
            "conv=notrunc",
            "status=none",
            &format!("seek={at}"),
            &from,
            &to,
        ];
        run("dd", &dd);
    };
    put(&["mkfs.ext4", "-q", "-F"], "16");
    if script.contains("15 :") {
        put(&["mkfs.vfat", "-n", "UEFI"], "4");
    }
}

#[tokio::test]
async fn a_partition_that_is_no_fat_is_not_what_is_booted_from() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    let image = disk.name();
    let root = "label: gpt\n1 : start=16MiB, size=8MiB, name=root\n";
    of_a_cloud(
        &disk,
        &format!("{root}15 : start=4MiB, size=8MiB, name=esp\n"),
    );
    let shown = workstation
        .os(&["image", "inspect", &image, "--json"])
        .await;
    shown.success();
    let json: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(json["boot"]["partition"], 15, "{json}");
    let write = ["config", "write", "hostname", "kitchen", "-d", &image];
    workstation.os(&write).await.success();
    // Without any, the layout is shown all the same.
    of_a_cloud(&disk, root);
    let shown = workstation
        .os(&["image", "inspect", &image, "--json"])
        .await;
    shown.success();
    let json: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert!(json["boot"].is_null(), "{json}");
    assert_eq!(json["partitions"][0]["name"], "root", "{json}");
    workstation
        .os(&["image", "inspect", &image])
        .await
        .success();
    let refused = workstation.os(&write).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("FAT"), "{refused}");
}

#[tokio::test]
async fn the_copy_of_a_gpt_counts_in_a_packed_image_too() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::GptCopy, SYSTEMS[1]);
    let before = disk.bytes();
    run("gzip", &["-1", &disk.name()]);
    let image = format!("{}.gz", disk.name());
    let shown = workstation
        .os(&["image", "inspect", &image, "--json"])
        .await;
    shown.success();
    let json: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(json["table"], "gpt-copy", "{json}");
    let write = ["config", "write", "hostname", "kitchen", "-d", &image];
    workstation.os(&write).await.success();
    run("gunzip", &[&image]);
    disk.is_edited(&before, &["config.json"]);
}

#[tokio::test]
async fn an_interrupt_ends_the_unpacking_of_an_image_that_is_to_be_changed() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[0]);
    // Sixty GiB of nothing, packed: what the table leads to lies behind them.
    let zeros = disk.path().with_file_name("zeros");
    fs::write(&zeros, vec![0; 64 * 1024 * 1024]).unwrap();
    run("gzip", &["-1", zeros.to_str().unwrap()]);
    let packed = fs::read(zeros.with_extension("gz")).unwrap();
    let mut table = vec![0; 512];
    table[450] = 0x0C;
    table[454..458].copy_from_slice(&120_000_000_u32.to_le_bytes());
    table[458..462].copy_from_slice(&8192_u32.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xAA]);
    let start = disk.path().with_file_name("start");
    fs::write(&start, table).unwrap();
    run("gzip", &["-1", start.to_str().unwrap()]);
    let image = disk.path().with_file_name("image.gz");
    let mut file = fs::File::create(&image).unwrap();
    file.write_all(&fs::read(start.with_extension("gz")).unwrap())
        .unwrap();
    for _ in 0..960 {
        file.write_all(&packed).unwrap();
    }
    drop(file);
    let name = image.to_str().unwrap();
    let write = ["config", "write", "hostname", "kitchen", "-d", name];
    let mut running = workstation.start_in_terminal(&write);
    let held = fs::File::open(&image).unwrap();
    // It has begun when it holds the image.
    testkit::until("the image is held", async || {
        let is_free = flock(&held, FlockOperation::NonBlockingLockShared).is_ok();
        flock(&held, FlockOperation::Unlock).expect("unlocked");
        (!is_free).then_some(())
    })
    .await;
    let start = std::time::Instant::now();
    running.press("\x03");
    let output = running.output().await;
    assert_eq!(output.code, 130, "{output}");
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
