//! What `os flash` leaves where it does not come to its end.

use testkit::{Workstation, until::until};

use super::{MIB, noise, text};
use crate::disks::{Disk, Layout, SYSTEMS, run};

const INTERRUPTED: i32 = 130;

#[tokio::test]
async fn a_flash_that_was_interrupted_or_killed_does_not_boot_and_goes_on() {
    let workstation = Workstation::new(None);
    let image = noise(100 * MIB, 11);
    let packed = workstation.write("disk.img", &image);
    // This one takes seconds to unpack, on any machine.
    run("bzip2", &["-1", text(&packed)]);
    let drive = workstation.home().join("drive");
    let records = workstation.home().join(".local/state/os/flash");
    let is_noted = || {
        let entries = fs_err::read_dir(&records).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.path());
        names.any(|path| path.extension().is_some_and(|end| end == "json"))
    };
    let program = testkit::programs::built("os");
    let line = format!(
        "echo $$ > pid; exec {} flash --allow-unknown disk.img.bz2 drive",
        program.display()
    );
    for signal in ["-INT", "-KILL"] {
        drop(fs_err::remove_file(&drive));
        let running = workstation.start_program(&["sh", "-c", &line]);
        until("some of it is written", async || is_noted().then_some(())).await;
        let pid = fs_err::read_to_string(workstation.home().join("pid")).unwrap();
        workstation.machine.run("kill", &[signal, pid.trim()]);
        let ended = running.output().await;
        let content = fs_err::read(&drive).unwrap();
        assert_ne!(ended.code, 0, "{ended}");
        assert!(content[..4 * MIB].iter().all(|byte| *byte == 0), "{ended}");
        if signal == "-INT" {
            assert_eq!(ended.code, INTERRUPTED, "{ended}");
            assert!(ended.stderr.contains("the same command goes on"), "{ended}");
        }
        let again = workstation
            .os(&["flash", "-y", "--allow-unknown", "disk.img.bz2", "drive"])
            .await;
        again.success();
        assert!(again.stderr.contains("goes on after"), "{again}");
        assert!(fs_err::read(&drive).unwrap() == image);
        assert!(!is_noted(), "{signal}");
    }
}

#[tokio::test]
async fn a_new_file_to_which_nothing_came_is_not_left_behind() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let new = workstation.home().join("new");
    // Another one cannot be made.
    let failed = workstation
        .os(&["flash", &disk.name(), "new", "gone/new"])
        .await;
    assert_ne!(failed.code, 0, "{failed}");
    assert!(!new.exists(), "{failed}");
    // There is no room for a byte of it.
    let full = workstation.home().join("full");
    fs_err::create_dir(&full).unwrap();
    let machine = &workstation.machine;
    let room = ["-t", "tmpfs", "-o", "size=16k", "tmpfs", text(&full)];
    machine.run("mount", &room);
    let script = format!("head -c 16384 /dev/zero > '{}/all'", full.display());
    machine.run("sh", &["-c", &script]);
    let failed = workstation
        .os(&["flash", &disk.name(), "full/new", "--json"])
        .await;
    assert_eq!(failed.code, 1, "{failed}");
    let told = failed.stdout.lines().next().unwrap();
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    assert_eq!(told["drives"][0]["new_file"], false, "{failed}");
    assert!(failed.stderr.contains("no room"), "{failed}");
    assert_eq!(machine.run("ls", &[text(&full)]).trim(), "all");
    // Nothing comes, and nobody waits for it any more.
    let program = testkit::programs::built("os");
    let line = format!(
        "mkfifo pipe; exec 3<>pipe; echo $$ > pid; exec {} flash - new --yes < pipe",
        program.display()
    );
    let running = workstation.start_program(&["sh", "-c", &line]);
    until("the file is made", async || new.exists().then_some(())).await;
    let pid = fs_err::read_to_string(workstation.home().join("pid")).unwrap();
    machine.run("kill", &["-INT", pid.trim()]);
    let ended = running.output().await;
    assert_eq!(ended.code, INTERRUPTED, "{ended}");
    assert!(!new.exists(), "{ended}");
    assert!(!ended.stderr.contains("does not boot"), "{ended}");
}

#[tokio::test]
async fn a_new_file_is_written_where_nothing_can_be_locked_and_is_gone_where_another_has_it() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let new = workstation.home().join("new");
    let program = testkit::programs::built("os");
    for (error, is_written) in [("ENOLCK", true), ("EWOULDBLOCK:when=2", false)] {
        let line = format!(
            "exec strace -f -qq -o calls -e trace=flock -e inject=flock:error={error} {} flash -y {} new",
            program.display(),
            disk.name()
        );
        let ended = workstation.start_program(&["sh", "-c", &line]);
        let ended = ended.output().await;
        assert_eq!(ended.code == 0, is_written, "{ended}");
        assert_eq!(new.exists(), is_written, "{ended}");
        drop(fs_err::remove_file(&new));
    }
}
