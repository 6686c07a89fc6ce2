//! A system of files.

use super::{used::unescaped, *};

/// A system with a disk in which all is encrypted, a stick that is mounted, an empty reader and a card.
fn tree() -> (tempfile::TempDir, Roots) {
    let dir = tempfile::tempdir().unwrap();
    let put = |path: &str, content: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    let drive = |name: &str, number: &str, size: &str, removable: &str| {
        let folder = format!("sys/block/{name}");
        put(&format!("{folder}/dev"), number);
        put(&format!("{folder}/size"), size);
        put(&format!("{folder}/removable"), removable);
        put(&format!("{folder}/ro"), "0\n");
    };
    let part = |name: &str, part: &str, number: &str| {
        put(&format!("sys/block/{name}/{part}/dev"), number);
        put(&format!("sys/block/{name}/{part}/partition"), "1\n");
    };
    drive("sda", "8:0\n", "1000\n", "0\n");
    put("sys/block/sda/device/model", "Disk    \n");
    part("sda", "sda1", "8:1");
    part("sda", "sda2", "8:2");
    put("sys/block/sda/sda2/holders/dm-0/x", "");
    drive("dm-0", "253:0\n", "900\n", "0\n");
    put("sys/block/dm-0/slaves/sda2/x", "");
    drive("dm-1", "253:1\n", "800\n", "0\n");
    put("sys/block/dm-1/slaves/dm-0/x", "");
    put("sys/devices/usb1/1-1/serial", "AB12\n");
    put("sys/devices/usb1/1-1/idVendor", "1d6b\n");
    put("sys/devices/usb1/1-1/host0/model", "Ultra\n");
    put("sys/devices/usb1/1-1/host0/vendor", "SanDisk\n");
    drive("sdb", "8:16\n", "2000\n", "1\n");
    std::os::unix::fs::symlink(
        dir.path().join("sys/devices/usb1/1-1/host0"),
        dir.path().join("sys/block/sdb/device"),
    )
    .unwrap();
    part("sdb", "sdb1", "8:17");
    put(
        "run/udev/data/b8:17",
        "S:x\nE:ID_FS_TYPE=vfat\nE:ID_FS_LABEL=resin-boot\n",
    );
    put("sys/block/sdb/diskseq", "17\n");
    drive("sdc", "8:32\n", "0\n", "1\n");
    drive("sr0", "11:0\n", "2097151\n", "1\n");
    drive("fd0", "2:0\n", "8\n", "1\n");
    drive("loop3", "7:3\n", "80\n", "0\n");
    put("sys/block/loop3/loop/backing_file", "/srv/a card\n");
    drive("mmcblk0", "179:0\n", "4000\n", "0\n");
    put("sys/block/mmcblk0/device/type", "SD\n");
    put("sys/block/mmcblk0/device/name", "SD32G\n");
    put("sys/block/mmcblk0/device/serial", "0xabc\n");
    drive("mmcblk1", "179:8\n", "4000\n", "0\n");
    put("sys/block/mmcblk1/device/type", "MMC\n");
    put(
        "proc/self/mountinfo",
        "22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw\n\
         23 22 8:1 / /boot rw - vfat /dev/sda1 rw\n\
         24 22 8:17 / /media/ann/a\\040card rw - vfat /dev/sdb1 rw\n\
         25 22 0:44 / /data rw - btrfs /dev/mmcblk1 rw\n\
         27 22 7:4 / /home rw - ext4 /dev/loop4 rw\n\
         broken line\n26 22 0:5 / /proc rw - proc proc rw\n",
    );
    put(
        "proc/swaps",
        "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-0  partition 1 0 -2\n",
    );
    let root = |name: &str| dir.path().join(name);
    let roots = Roots {
        sys: root("sys"),
        proc: root("proc"),
        run: root("run"),
        dev: root("dev"),
    };
    (dir, roots)
}

/// More drives of the same system: a loop over a part of the stick, and areas of a chip.
fn more(roots: &Roots) {
    for (name, number) in [
        ("loop4", "7:4"),
        ("mmcblk0boot0", "179:16"),
        ("mmcblk0rpmb", "179:24"),
    ] {
        let folder = roots.sys.join("block").join(name);
        fs::create_dir_all(folder.join("loop")).unwrap();
        fs::write(folder.join("dev"), number).unwrap();
        fs::write(folder.join("size"), "80").unwrap();
    }
    let backing = roots.sys.join("block/loop4/loop/backing_file");
    fs::write(backing, "/dev/sdb1\n").unwrap();
}

#[test]
fn drives_are_told_with_what_is_on_them_through_all_layers() {
    let (_dir, roots) = tree();
    more(&roots);
    let found = drives(&roots).unwrap();
    let of = |name: &str| found.iter().find(|drive| drive.name == name).unwrap();
    let points = |name: &str| -> Vec<String> {
        let mounts = of(name).mounts.iter();
        mounts.map(|point| point.display().to_string()).collect()
    };
    assert_eq!(points("sda"), ["/", "/boot"]);
    assert!(of("sda").is_swap && !of("sdb").is_swap);
    assert_eq!(of("sda").holders, ["dm-0"]);
    assert_eq!(of("sda").bus, Bus::Inside);
    assert_eq!(of("sda").model, "Disk");
    assert_eq!(points("sdb"), ["/home", "/media/ann/a card"]);
    assert_eq!(of("loop4").over.as_deref(), Some("sdb1"));
    assert_eq!(of("loop3").over, None);
    assert_eq!(of("sdb").bus, Bus::Usb);
    assert_eq!(of("sdb").model, "SanDisk Ultra");
    assert_eq!(of("sdb").serial.as_deref(), Some("AB12"));
    assert_eq!(of("sdb").size, 2000 * 512);
    assert_eq!(of("sdb").partitions[0].label.as_deref(), Some("resin-boot"));
    assert_eq!((of("sdc").size, of("sdc").is_removable), (0, true));
    assert_eq!(of("mmcblk0").bus, Bus::Card);
    assert_eq!(of("mmcblk0").serial.as_deref(), Some("0xabc"));
    assert_eq!(of("mmcblk1").bus, Bus::Chip);
    assert_eq!(points("mmcblk1"), ["/data"]);
    assert_eq!(of("dm-1").bus, Bus::Virtual);
    assert_eq!((of("sdb").media, of("sdc").media), (Some(17), None));
    assert_eq!(
        of("loop3").backing.as_deref(),
        Some(Path::new("/srv/a card"))
    );
    assert_eq!(of("loop3").model, "/srv/a card");
    assert!(
        !found
            .iter()
            .any(|drive| ["sr0", "fd0", "mmcblk0boot0", "mmcblk0rpmb"]
                .contains(&drive.name.as_str()))
    );
}

#[test]
fn what_the_system_uses_is_known_or_no_drive_is() {
    let (_dir, roots) = tree();
    fs::remove_file(roots.proc.join("swaps")).unwrap();
    drives(&roots).unwrap();
    let mounts = roots.proc.join("self/mountinfo");
    let file = fs::File::create(&mounts).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    assert!(drives(&roots).is_err());
    fs::remove_file(&mounts).unwrap();
    assert!(drives(&roots).is_err());
}

#[test]
fn places_with_spaces_are_read() {
    assert_eq!(unescaped("a\\040b\\134c\\9"), "a b\\c\\9");
    assert_eq!(unescaped("\\"), "\\");
}

#[test]
fn a_drive_without_a_table_says_what_it_holds() {
    let (dir, roots) = tree();
    let noted = dir.path().join("run/udev/data/b179:0");
    let held = |text: &str| {
        fs::create_dir_all(noted.parent().unwrap()).unwrap();
        fs::write(&noted, text).unwrap();
        let all = drives(&roots).unwrap();
        let card = all.into_iter().find(|drive| drive.name == "mmcblk0");
        card.unwrap().label
    };
    let (luks, ext4) = (
        "E:ID_FS_TYPE=crypto_LUKS\n",
        "E:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=photos\n",
    );
    assert_eq!(held(luks).as_deref(), Some("crypto_LUKS"));
    assert_eq!(held(ext4).as_deref(), Some("photos"));
    assert_eq!(held("E:ID_PART_TABLE_TYPE=dos\n"), None);
}
