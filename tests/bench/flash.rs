//! How fast an image is written: `os flash`, and what people pipe together for it.
//!
//! A sparse image of 4 GB with 600 MB in it, packed by zstd and by xz, to a new file, and to a loop device that takes 100 MB a second (the
//! kernel's own throttle of a device). Ours reads back all that it has written, past the page cache; the peers do not.

use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::Command;

use testkit::Workstation;

use crate::desk::{os, peak_memory, shell, timed};
use crate::figure::{Goal, Row, Samples, Table, Unit};

const MB: u64 = 1_000_000;
const SIZE: u64 = 4000 * MB;
/// Stretches with something in them, and the bytes of each.
const PARTS: (u64, u64) = (40, 15 * MB);
/// What the loop device takes, in bytes a second.
const RATE: u64 = 100 * MB;
/// What is asked for: nothing is gone on with from the round before, and the image has no table.
const FLASH: [&str; 5] = [
    "flash",
    "--quiet",
    "--yes",
    "--no-resume",
    "--allow-unknown",
];
/// Where the kernel is told of it.
const THROTTLES: [&str; 2] = [
    "/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device",
    "/sys/fs/cgroup/blkio.throttle.write_bps_device",
];

pub(crate) fn measure(table: &mut Table, rounds: usize) {
    let workstation = Workstation::new(None);
    image(&workstation);
    let bench = Bench {
        workstation: &workstation,
        rounds,
    };
    to_a_file(&bench, table);
    match Throttled::new(&workstation) {
        Some(device) => to_a_slow_drive(&bench, table, &device.path),
        None => table.note("flash: this kernel has no throttle of devices by cgroup v1: nothing was written to a slow one".to_owned()),
    }
}

fn to_a_file(bench: &Bench<'_>, table: &mut Table) {
    let into = "dd of=peer bs=4M iflag=fullblock conv=sparse,fsync";
    for (image, name, line, map) in [
        (
            "disk.img.zst",
            "zstd -d | dd conv=sparse,fsync",
            format!("zstd -dc disk.img.zst | {into}"),
            "--no-bmap",
        ),
        (
            "disk.img.xz",
            "xz -d | dd conv=sparse,fsync",
            format!("xz -dc disk.img.xz | {into}"),
            "--no-bmap",
        ),
        (
            "disk.img.zst",
            "bmaptool copy",
            "bmaptool -q copy disk.img.zst peer".to_owned(),
            "--bmap=disk.img.bmap",
        ),
    ] {
        let what = format!("flash: {image} to a file{}", by(map));
        let mut words = FLASH.to_vec();
        words.extend([map, image, "ours"]);
        bench.row(table, &what, &words, (name, &line), Goal::None);
    }
}

fn to_a_slow_drive(bench: &Bench<'_>, table: &mut Table, drive: &str) {
    let into = format!("dd of={drive} bs=4M iflag=fullblock oflag=direct conv=fsync");
    for (image, name, line, map) in [
        (
            "disk.img.zst",
            "bmaptool copy",
            format!("bmaptool -q copy disk.img.zst {drive}"),
            "--bmap=disk.img.bmap",
        ),
        (
            "disk.img.zst",
            "zstd -d | dd oflag=direct",
            format!("zstd -dc disk.img.zst | {into}"),
            "--no-bmap",
        ),
        (
            "disk.img.xz",
            "xz -d | dd oflag=direct",
            format!("xz -dc disk.img.xz | {into}"),
            "--no-bmap",
        ),
    ] {
        let what = format!("flash: {image} to a drive of {} MB/s{}", RATE / MB, by(map));
        let mut words = FLASH.to_vec();
        words.extend(["--allow-fixed", map, image, drive]);
        let ours = bench.row(table, &what, &words, (name, &line), Goal::None);
        // Without a map, zeros are content, and the drive had something else there.
        let bytes = if map == "--no-bmap" {
            SIZE
        } else {
            PARTS.0 * PARTS.1
        };
        let mut limit = Samples::default();
        limit.add(limit_ms(bytes));
        let what = format!("{what}: {} MB", bytes / MB);
        table.row(&Row::beside(
            &what,
            ours,
            ("bytes over rate", limit),
            Goal::Times(1.05),
        ));
    }
}

fn by(map: &str) -> &str {
    if map == "--no-bmap" {
        ""
    } else {
        ", by block map"
    }
}

/// Milliseconds that the device takes for so many bytes.
fn limit_ms(bytes: u64) -> f64 {
    let bytes = u32::try_from(bytes / 1000).expect("an amount");
    let rate = u32::try_from(RATE / 1000).expect("a rate");
    f64::from(bytes) / f64::from(rate) * 1000.0
}

/// The image, packed, and its block map.
fn image(workstation: &Workstation) {
    let path = workstation.home().join("disk.img");
    let mut file = fs_err::File::create(&path).expect("a file");
    file.set_len(SIZE).expect("its size");
    let (count, size) = PARTS;
    let mut state = 1_u32;
    for part in 0..count {
        // Half noise, half not: what programs are like.
        let bytes: Vec<u8> = (0..size)
            .map(|at| {
                if at % 4096 < 2048 {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    state.to_le_bytes()[1]
                } else {
                    at.to_le_bytes()[1] | 1
                }
            })
            .collect();
        let place = part * (SIZE / count) / 4096 * 4096;
        file.seek(SeekFrom::Start(place)).expect("a place");
        file.write_all(&bytes).expect("room");
    }
    file.sync_all().expect("room");
    for line in [
        "bmaptool -q create -o disk.img.bmap disk.img",
        "zstd -q -3 -T0 -k disk.img",
        "xz -1 -T0 -k disk.img",
        "rm disk.img",
    ] {
        timed(&workstation.machine, &mut shell(workstation, line));
    }
}

struct Bench<'a> {
    workstation: &'a Workstation,
    rounds: usize,
}

impl Bench<'_> {
    /// Ours and a peer, in turns, and the memory of ours.
    fn row(
        &self,
        table: &mut Table,
        what: &str,
        words: &[&str],
        peer: (&'static str, &str),
        goal: Goal,
    ) -> Samples {
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        let machine = &self.workstation.machine;
        for round in 0..=self.rounds {
            for name in ["ours", "peer"] {
                drop(fs_err::remove_file(self.workstation.home().join(name)));
            }
            let own = timed(machine, &mut os(self.workstation, words));
            let other = timed(machine, &mut shell(self.workstation, peer.1));
            if round > 0 {
                ours.time(own.took);
                theirs.time(other.took);
            }
        }
        table.row(&Row::beside(what, ours.clone(), (peer.0, theirs), goal));
        drop(fs_err::remove_file(self.workstation.home().join("ours")));
        let own = peak_memory(self.workstation, &os(self.workstation, words));
        let mut peak = Samples::default();
        peak.add(own);
        let what = format!("{what}: memory");
        table.row(&Row::alone(
            &what,
            Unit::Mebibytes,
            peak,
            Goal::AtMost(64.0),
        ));
        ours
    }
}

/// A loop device that takes no more than [`RATE`].
struct Throttled {
    path: String,
    number: String,
    throttle: PathBuf,
}

impl Throttled {
    fn new(workstation: &Workstation) -> Option<Self> {
        let throttle = THROTTLES
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())?;
        let file = workstation.home().join("card");
        fs_err::File::create(&file)
            .expect("a file")
            .set_len(SIZE + 16 * MB)
            .expect("its size");
        let told = Command::new("losetup")
            .args(["-f", "--show", file.to_str()?])
            .output()
            .expect("losetup");
        assert!(told.status.success(), "losetup: {told:?}");
        let path = String::from_utf8(told.stdout).ok()?.trim().to_owned();
        let name = path.rsplit('/').next()?;
        let number = fs_err::read_to_string(format!("/sys/block/{name}/dev")).ok()?;
        let number = number.trim().to_owned();
        fs_err::write(&throttle, format!("{number} {RATE}")).expect("a throttle");
        Some(Self {
            path,
            number,
            throttle,
        })
    }
}

impl Drop for Throttled {
    fn drop(&mut self) {
        drop(fs_err::write(&self.throttle, format!("{} 0", self.number)));
        drop(Command::new("losetup").args(["-d", &self.path]).status());
    }
}
