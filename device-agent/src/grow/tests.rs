//! On files instead of disks, with the system's own `sfdisk`.

use std::process;

use super::*;

const MIB: u64 = 1024 * 1024;

/// A disk of 200 MiB with this table, in a file of 300 MiB.
fn disk(table: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    let file = fs::File::create(&disk).unwrap();
    file.set_len(200 * MIB).unwrap();
    let input = dir.path().join("table");
    fs::write(&input, table).unwrap();
    let done = process::Command::new("sfdisk")
        .arg("--quiet")
        .arg(&disk)
        .stdin(Stdio::from(fs::File::open(&input).unwrap().into_file()))
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    file.set_len(300 * MIB).unwrap();
    (dir, disk)
}

fn of(disk: &Path, number: u32) -> Place {
    Place {
        partition: disk.to_owned(),
        number,
        disk: disk.to_owned(),
        disk_bytes: 300 * MIB,
    }
}

async fn sizes(disk: &Path) -> Vec<(u32, u64)> {
    let written = program("sfdisk", &["--json".as_ref(), disk.as_os_str()], "")
        .await
        .unwrap();
    let table = table::read(&written).unwrap();
    table
        .partitions
        .iter()
        .map(|part| (part.number, part.size * table.sector / MIB))
        .collect()
}

const MBR: &str = "label: dos\n1: start=8192, size=40960, type=c, bootable\n2: start=49152, size=20480, type=83\n3: start=69632, size=20480, type=83\n4: start=90112, size=200704, type=f\n5: start=98304, size=20480, type=83\n6: start=122880, size=40960, type=83\n";
const GPT: &str =
    "label: gpt\n1: start=8192, size=40960\n2: start=49152, size=40960, name=resin-data\n";

#[tokio::test]
async fn a_logical_partition_grows_within_what_holds_it() {
    let (_dir, disk) = disk(MBR);
    let place = of(&disk, 6);
    assert!(grow_entries(&place).await.unwrap());
    assert_eq!(
        sizes(&disk).await,
        [(1, 20), (2, 10), (3, 10), (4, 256), (5, 10), (6, 240)]
    );
    assert!(!grow_entries(&place).await.unwrap(), "once");
}

#[tokio::test]
async fn a_partition_of_gpt_grows_and_the_second_table_moves() {
    let (_dir, disk) = disk(GPT);
    let place = of(&disk, 2);
    assert!(grow_entries(&place).await.unwrap());
    assert_eq!(sizes(&disk).await, [(1, 20), (2, 275)]);
    assert!(!grow_entries(&place).await.unwrap(), "once");
    let verified = program("sfdisk", &["--verify".as_ref(), disk.as_os_str()], "")
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&verified).contains("No errors detected"));
}

#[tokio::test]
async fn power_cut_between_two_entries_leaves_a_table_that_grows_on() {
    let (_dir, disk) = disk(MBR);
    let arguments = [
        "--quiet".as_ref(),
        "--no-reread".as_ref(),
        "-N".as_ref(),
        "4".as_ref(),
        disk.as_os_str(),
    ];
    program("sfdisk", &arguments, ALL).await.unwrap();
    assert_eq!(sizes(&disk).await[3..], [(4, 256), (5, 10), (6, 20)]);
    assert!(grow_entries(&of(&disk, 6)).await.unwrap());
    assert_eq!(sizes(&disk).await[5], (6, 240));
}

#[tokio::test]
async fn what_is_in_the_way_is_told_and_nothing_is_written() {
    let (_dir, disk) = disk(GPT);
    let before = fs::read(&disk).unwrap();
    let error = grow_entries(&of(&disk, 1)).await.unwrap_err();
    let words = crate::daemon::chain(&error);
    assert!(
        words.ends_with("disk: partition 1 cannot grow: partition 2 lies behind it"),
        "{words}"
    );
    assert_eq!(fs::read(&disk).unwrap(), before);
    fs::write(&disk, vec![0; 4096]).unwrap();
    let error = grow_entries(&of(&disk, 1)).await.unwrap_err().to_string();
    assert!(error.starts_with("sfdisk failed: "), "{error}");
    let error = run(Path::new("/no/such/partition"))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(error, "there is no partition at /no/such/partition");
}

#[test]
fn the_kernel_says_which_partition_of_which_disk_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let class = dir.path().join("class");
    let disk = dir.path().join("devices/pci/mmcblk0");
    fs::create_dir_all(disk.join("mmcblk0p6")).unwrap();
    fs::create_dir_all(&class).unwrap();
    fs::write(disk.join("size"), "15523840\n").unwrap();
    fs::write(disk.join("mmcblk0p6/partition"), "6\n").unwrap();
    fs::write(disk.join("mmcblk0p6/size"), "4096\n").unwrap();
    std::os::unix::fs::symlink(disk.join("mmcblk0p6"), class.join("mmcblk0p6")).unwrap();
    std::os::unix::fs::symlink(&disk, class.join("mmcblk0")).unwrap();
    let found = place(Path::new("/dev/mmcblk0p6"), &class).unwrap();
    assert_eq!(
        (found.number, found.disk, found.disk_bytes),
        (6, PathBuf::from("/dev/mmcblk0"), 15_523_840 * 512)
    );
    for device in ["/dev/mmcblk0", "/dev/sda1"] {
        let error = place(Path::new(device), &class).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the kernel does not say which partition {device} is")
        );
    }
}
