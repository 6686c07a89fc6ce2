//! Drives that are mounted.

use testkit::Workstation;

use super::{MIB, drives::Loop, text};
use crate::{
    USAGE,
    disks::{Disk, Layout, SYSTEMS, run},
};

#[tokio::test]
async fn what_is_mounted_is_unmounted_or_refused() {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let disk = Disk::new(Layout::Whole, SYSTEMS[1]);
    let drive = Loop::new(workstation.home().join("card"), &vec![0; 96 * MIB]);
    run("mke2fs", &["-q", &drive.path]);
    let elsewhere = workstation.home().join("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    machine.run("mount", &[&drive.path, text(&elsewhere)]);
    let words = ["flash", &disk.name(), &drive.path, "--allow-fixed", "-y"];
    let refused = workstation.os(&words).await;
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(
        refused
            .stderr
            .contains(&format!("`umount {}`", elsewhere.display())),
        "{refused}"
    );
    machine.run("umount", &[text(&elsewhere)]);
    // Where people mount, a drive that is not removable may be meant to stay.
    machine.run("mount", &["-t", "tmpfs", "tmpfs", "/mnt"]);
    machine.run("mkdir", &["/mnt/data"]);
    machine.run("mount", &[&drive.path, "/mnt/data"]);
    let refused = workstation.os(&words).await;
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(refused.stderr.contains("mounted on /mnt/data"), "{refused}");
    machine.run("umount", &["/mnt/data"]);
    machine.run("mount", &["-t", "tmpfs", "tmpfs", "/media"]);
    machine.run("mkdir", &["/media/a card"]);
    machine.run("mount", &[&drive.path, "/media/a card"]);
    // An image that is on the drive itself.
    machine.run("cp", &[&disk.name(), "/media/a card/disk.img"]);
    let own = [
        "flash",
        "/media/a card/disk.img",
        &drive.path,
        "--allow-fixed",
        "-y",
    ];
    let refused = workstation.os(&own).await;
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(refused.stderr.contains("cannot be unmounted"), "{refused}");
    machine.run("cmp", &[&disk.name(), "/media/a card/disk.img"]);
    let written = workstation.os(&words).await;
    written.success();
    assert!(
        written.stderr.contains("unmounted /media/a card"),
        "{written}"
    );
    assert!(drive.content()[..disk.bytes().len()] == disk.bytes());
}

#[tokio::test]
async fn what_cannot_all_be_unmounted_stays_mounted_however_often_it_is_asked() {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let disk = Disk::new(Layout::Whole, SYSTEMS[1]);
    let drive = Loop::new(workstation.home().join("card"), &vec![0; 96 * MIB]);
    run("mke2fs", &["-q", &drive.path]);
    machine.run("mount", &["-t", "tmpfs", "tmpfs", "/media"]);
    for place in ["/media/a", "/media/b"] {
        machine.run("mkdir", &[place]);
        machine.run("mount", &[&drive.path, place]);
    }
    // The image is open meanwhile, on one of the two.
    machine.run("cp", &[&disk.name(), "/media/b/disk.img"]);
    let words = ["flash", "/media/b/disk.img", &drive.path];
    for _ in 0..3 {
        let refused = workstation
            .os(&[&words[..], &["--allow-fixed", "-y"]].concat())
            .await;
        assert_eq!(refused.code, USAGE, "{refused}");
        assert!(
            refused.stderr.contains("/media/b cannot be unmounted"),
            "{refused}"
        );
        // Whoever looked at the places themselves would be one who uses them.
        let mounts = machine.run("cat", &["/proc/self/mountinfo"]);
        for place in [" /media/a ", " /media/b "] {
            assert!(mounts.contains(place), "{refused}{mounts}");
        }
    }
}
