//! `os boot` with a disk whose boot sector is its whole system.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use testkit::{Workstation, programs::built, until::until, workstation::Running};

use crate::USAGE;

const SECTOR: usize = 512;
/// What it finds in the sector that it writes.
const BEFORE: u8 = 0xEE;

/// Code of a PC's BIOS at 0x7C00: says `hello` at the first serial port, copies this sector to the third one of the disk, says `wrote`, waits
/// for the power button, says `good-bye` and is off. Where ACPI's registers are in a q35 machine, its BIOS says: 0x600.
#[rustfmt::skip]
const SYSTEM: &[u8] = &[
    0x31, 0xC0, 0x8E, 0xD8, 0x8E, 0xD0,       // ds = ss = 0
    0xBC, 0x00, 0x7C,                         // sp = 0x7C00
    0xBA, 0x02, 0x06, 0xB8, 0x00, 0x01, 0xEF, // PM1_EN: the power button is heard
    0xBE, 0x69, 0x7C, 0xE8, 0x2B, 0x00,       // say hello
    0xB2, 0x80, 0xBE, 0x59, 0x7C,             // of the first disk, as the packet has it:
    0xB8, 0x00, 0x43, 0xCD, 0x13,             // write
    0x72, 0x06,                               // unless that failed
    0xBE, 0x71, 0x7C, 0xE8, 0x19, 0x00,       // say wrote
    0xBA, 0x00, 0x06,                         // PM1_STS:
    0xED, 0xF6, 0xC4, 0x01, 0x74, 0xFA,       // until the button was pressed
    0xBE, 0x79, 0x7C, 0xE8, 0x0A, 0x00,       // say good-bye
    0xBA, 0x04, 0x06, 0xB8, 0x00, 0x20, 0xEF, // PM1_CNT: off
    0xF4, 0xEB, 0xFD,                         // stand still
    // say: what is at si
    0xAC, 0x84, 0xC0, 0x74, 0x12, 0x88, 0xC4, // the next character, until it is 0
    0xBA, 0xFD, 0x03, 0xEC, 0xA8, 0x20, 0x74, 0xFB, // until the port is ready
    0x88, 0xE0, 0xBA, 0xF8, 0x03, 0xEE, 0xEB, 0xE9, // goes there
    0xC3,
    // the packet: one sector, from 0:0x7C00, to sector 2
    0x10, 0x00, 0x01, 0x00, 0x00, 0x7C, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    b'h', b'e', b'l', b'l', b'o', b'\r', b'\n', 0,
    b'w', b'r', b'o', b't', b'e', b'\r', b'\n', 0,
    b'g', b'o', b'o', b'd', b'-', b'b', b'y', b'e', b'\r', b'\n', 0,
];

/// Of it, where it waits for the button: what looks whether it was pressed.
const WAITS: &[u8] = &[0xED, 0xF6, 0xC4, 0x01, 0x74, 0xFA];

/// A disk of 1 MiB with it and one partition.
fn disk() -> Vec<u8> {
    disk_with(SYSTEM)
}

fn disk_with(system: &[u8]) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[..system.len()].copy_from_slice(system);
    // Active, of Linux, from sector 64 on, 1024 sectors.
    let partition = [0x80, 0, 0, 0, 0x83, 0, 0, 0, 64, 0, 0, 0, 0, 4, 0, 0];
    disk[446..462].copy_from_slice(&partition);
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk[2 * SECTOR..3 * SECTOR].fill(BEFORE);
    disk
}

struct Desk {
    workstation: Workstation,
    image: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let mut workstation = Workstation::new(None);
        let image = workstation.write("tiny.img", disk());
        let folder = workstation.home().join("disks");
        fs_err::create_dir(&folder).unwrap();
        workstation.set("TMPDIR", folder.to_str().unwrap());
        Self { workstation, image }
    }

    fn boot(&self, more: &[&str]) -> Running {
        let arguments = [&["boot", "tiny.img"], more].concat();
        self.workstation.start_in_terminal(&arguments)
    }

    /// Names and addresses of the machines that a scan lists.
    async fn machines(&self) -> Vec<(String, String)> {
        let scan = self.workstation.os(&["scan", "--json"]).await;
        scan.success();
        let lines = scan.stdout.lines();
        let devices = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let machines = devices.filter(|device| device["kind"] == "machine");
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        machines
            .map(|device| (text(&device["name"]), text(&device["addresses"][0]["ip"])))
            .collect()
    }

    /// What machines have left where their disks are made.
    fn left(&self) -> Vec<PathBuf> {
        let folder = self.workstation.home().join("disks");
        let entries = fs_err::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn is_written(image: &Path) -> bool {
    let now = fs_err::read(image).unwrap();
    let mut written = disk();
    written.copy_within(..SECTOR, 2 * SECTOR);
    now == written
}

#[tokio::test]
async fn an_image_is_booted_from_a_copy_seen_in_scans_and_switched_off() {
    let desk = Desk::new();
    let map = desk.workstation.write("tiny.img.bmap", "map");
    let mut running = desk.boot(&["--serial"]);
    running.shows("wrote").await;
    let machines = desk.machines().await;
    let [(name, address)] = machines.as_slice() else {
        panic!("{machines:?}");
    };
    assert_eq!(name, "tiny");
    assert!(address.starts_with("127.72."), "{address}");
    assert!(running.stdout().contains(address), "{}", running.stdout());

    // Its name is taken, and another name has another address.
    let second = desk.workstation.os(&["boot", "tiny.img"]).await;
    assert_eq!(second.code, USAGE, "{second}");
    assert!(second.stderr.contains("--name"), "{second}");
    let mut other = desk.boot(&["--serial", "--name", "other"]);
    other.shows("wrote").await;
    assert_eq!(desk.machines().await.len(), 2);

    running.press("\x03");
    let ended = running.output().await;
    ended.success();
    for words in ["hello", "power button of tiny", "good-bye", "tiny is off"] {
        assert!(ended.stdout.contains(words), "no {words}: {ended}");
    }
    assert_eq!(desk.machines().await.len(), 1);
    other.press("\x03");
    other.output().await.success();
    assert!(fs_err::read(&desk.image).unwrap() == disk());
    assert!(map.exists());
    assert_eq!(desk.left(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_image_is_written_to_if_that_is_wanted() {
    let desk = Desk::new();
    let map = desk.workstation.write("tiny.img.bmap", "map");
    let mut running = desk.boot(&["--serial", "--write"]);
    running.shows("wrote").await;
    // It is of the image as it was.
    assert!(!map.exists() && map.with_extension("bmap.old").exists());
    // Nobody else changes it meanwhile, or takes a copy of what is half written.
    for arguments in [
        &["boot", "tiny.img", "--write", "--name", "other"][..],
        &["boot", "tiny.img", "--name", "other"],
    ] {
        let refused = desk.workstation.os(arguments).await;
        assert_eq!(refused.code, 1, "{arguments:?}: {refused}");
        assert!(
            refused.stderr.contains("is in use"),
            "{arguments:?}: {refused}"
        );
    }
    running.press("\x03");
    running.output().await.success();
    assert!(is_written(&desk.image));
}

#[tokio::test]
async fn keys_of_a_machine_do_not_outlast_it_and_those_of_others_do() {
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    let desk = Desk::new();
    let (own, other) = ("0123456789abcdef0123456789abcdef", "f".repeat(32));
    let ssh = Path::new(".local/state/os/ssh");
    let keys = |uuids: &[&str]| {
        let lines = uuids.iter().map(|uuid| format!("{uuid} {KEY}\n"));
        desk.workstation
            .write(ssh.join("known_hosts"), lines.collect::<String>())
    };
    // As `os ssh tiny` does it, before or after the machine is known to be up.
    let mean = |uuid: &str| {
        let names = format!("Host tiny.os\n    HostName {uuid}\n    Port 22222\n");
        desk.workstation.write(ssh.join("names"), names)
    };
    for (write, uuid) in [
        (false, own),
        (true, own),
        (true, other.as_str()),
        (false, own),
    ] {
        let known = keys(&[&other]);
        let options: &[&str] = if write {
            &["--serial", "--write"]
        } else {
            &["--serial"]
        };
        let mut running = desk.boot(options);
        running.shows("wrote").await;
        keys(&[&other, uuid]);
        let names = mean(uuid);
        running.press("\x03");
        running.output().await.success();
        let (known, names) = (
            fs_err::read_to_string(known).unwrap(),
            fs_err::read_to_string(names).unwrap(),
        );
        assert!(known.contains(&other) && !known.contains(own), "{known}");
        assert!(!names.contains("tiny.os"), "{names}");
    }
}

#[tokio::test]
async fn a_system_that_does_not_hear_its_button_is_switched_off_by_a_second_ctrl_c() {
    let desk = Desk::new();
    let at = SYSTEM.windows(WAITS.len()).position(|code| code == WAITS);
    let mut system = SYSTEM.to_vec();
    // A jump to itself.
    system[at.unwrap()..][..2].copy_from_slice(&[0xEB, 0xFE]);
    desk.workstation.write("tiny.img", disk_with(&system));
    let mut running = desk.boot(&["--serial", "--name", "deaf"]);
    running.shows("wrote").await;
    assert_eq!(machines_of("deaf"), 1);
    running.press("\x03");
    running.shows("power button of deaf").await;
    running.press("\x03");
    let ended = running.output().await;
    assert_eq!(ended.code, 130, "{ended}");
    assert_eq!(machines_of("deaf"), 0);
    let machines = desk.workstation.home().join(".local/state/os/machines");
    assert!(!machines.join("deaf.json").exists());
    assert_eq!(
        fs_err::read_to_string(machines.join("deaf.lock")).unwrap(),
        "null"
    );
}

#[tokio::test]
async fn a_machine_that_the_processor_does_not_run_is_emulated_unless_it_has_written() {
    let stands_still = "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 1000";
    let ends = "echo 'qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69' >&2; exit 134";
    for (writes, says) in [(false, stands_still), (true, stands_still), (false, ends)] {
        let mut desk = Desk::new();
        // As where this machine is a virtual one itself; else it is qemu.
        let write = if writes {
            "disk=${*##*discard=unmap,file=}; printf x | dd of=\"${disk%% *}\" conv=notrunc bs=1 seek=600 2>/dev/null"
        } else {
            ":"
        };
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let program = format!(
            "#!/bin/sh\nPATH={path}\ncase \"$*\" in *kvm*) {write}; {says};; esac\nexec qemu-system-x86_64 \"$@\"\n"
        );
        let program = desk.workstation.write("bin/qemu-system-x86_64", program);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(&program, mode).unwrap();
        let bin = program.parent().unwrap().to_str().unwrap();
        desk.workstation.set("PATH", &format!("{bin}:{path}"));
        let mut running = desk.boot(&["--serial"]);
        // Without KVM there is nothing to fail.
        if writes && Path::new("/dev/kvm").exists() {
            let ended = running.output().await;
            assert_eq!(ended.code, 1, "{ended}");
            assert!(ended.stdout.contains("cannot go on"), "{ended}");
            assert!(ended.stdout.contains("Suberror: 1"), "{ended}");
            continue;
        }
        running.shows("wrote").await;
        assert!(
            running.stdout().contains("emulated"),
            "{}",
            running.stdout()
        );
        running.press("\x03");
        running.output().await.success();
    }
}

#[tokio::test]
async fn a_machine_ends_with_the_process_that_began_it_and_leaves_nothing_to_the_next() {
    let desk = Desk::new();
    let script = format!(
        "echo $$ >pid; exec {} boot tiny.img --serial --name killed",
        built("os").display()
    );
    let running = desk.workstation.start_program(&["sh", "-c", &script]);
    running.shows("wrote").await;
    let pid = fs_err::read_to_string(desk.workstation.home().join("pid")).unwrap();
    // Its disk has no name.
    assert_eq!(desk.left(), Vec::<PathBuf>::new());
    assert_eq!(machines_of("killed"), 1);
    desk.workstation
        .start_program(&["kill", "-KILL", pid.trim()])
        .output()
        .await
        .success();
    assert_eq!(running.output().await.code, 128 + 9);
    until("its machine has ended", async || {
        (machines_of("killed") == 0).then_some(())
    })
    .await;
    assert_eq!(desk.machines().await, []);

    let mut running = desk.boot(&["--serial", "--name", "killed"]);
    running.shows("wrote").await;
    running.press("\x03");
    running.output().await.success();
    assert_eq!(desk.left(), Vec::<PathBuf>::new());
}

/// How many machines have this name, here and in what other tests do: it is no other test's.
fn machines_of(name: &str) -> usize {
    let word = format!("-name\0{name}\0");
    let processes = fs_err::read_dir("/proc").unwrap();
    let lines =
        processes.filter_map(|process| fs_err::read(process.ok()?.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            let line = String::from_utf8_lossy(line);
            line.contains("qemu-system") && line.contains(&word)
        })
        .count()
}

#[tokio::test]
async fn what_cannot_be_booted_is_told_with_the_next_step() {
    let desk = Desk::new();
    let workstation = &desk.workstation;
    workstation.write("text.img", "no disk at all\n".repeat(1000));
    workstation.write("empty.img", "");
    // As a board's: its processor does not begin with the first sector.
    let mut board = disk();
    board[..SYSTEM.len()].fill(0);
    workstation.write("board.img", board);
    let gzip = Command::new("gzip").arg("-c").arg(&desk.image).output();
    let packed = gzip.unwrap().stdout;
    workstation.write("cut.img.gz", &packed[..packed.len() - 20]);
    workstation.write("cut.img", &disk()[..256 << 10]);
    let fifo = Command::new("mkfifo")
        .arg(workstation.home().join("pipe"))
        .status();
    assert!(fifo.unwrap().success());
    workstation.write("packed.img.gz", &packed);
    for (arguments, words) in [
        (&["nothing.img"][..], &["nothing.img is not there"][..]),
        (
            &["board.img"],
            &["nothing that a virtual machine starts", "os flash"],
        ),
        (&["text.img"], &["it is no disk image"]),
        (&["empty.img"], &["it is no disk image"]),
        (&["cut.img.gz"], &["cut.img.gz"]),
        (&["cut.img"], &["cut off"]),
        (&["pipe"], &["neither a file nor a drive"]),
        (&["/dev/zero"], &["neither a file nor a drive"]),
        (
            &["packed.img.gz", "--write"],
            &["is packed", "without --write"],
        ),
        (&["/dev/null", "--write"], &["neither a file nor a drive"]),
        (&["nothing.img", "--write"], &["nothing.img is not there"]),
        (&["tiny.img", "--port", "80:22222"], &["22222", "--port"]),
    ] {
        let arguments = [&["boot"], arguments].concat();
        let refused = workstation.os(&arguments).await;
        assert_ne!(refused.code, 0, "{arguments:?}: {refused}");
        for words in words {
            assert!(refused.stderr.contains(words), "{arguments:?}: {refused}");
        }
        assert_eq!(refused.stdout, "", "{arguments:?}: {refused}");
        let (is_missing, text) = (arguments[1] == "nothing.img", &refused.stderr);
        let is_begun = text.contains("making a disk") || text.contains("metadata");
        assert!(!(is_missing && is_begun), "{arguments:?}: {refused}");
    }
    assert_eq!(desk.left(), Vec::<PathBuf>::new());

    let mut desk = Desk::new();
    desk.workstation.set("PATH", "/nonexistent");
    let refused = desk.workstation.os(&["boot", "tiny.img"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("apt-get install qemu-system-x86"),
        "{refused}"
    );
}
