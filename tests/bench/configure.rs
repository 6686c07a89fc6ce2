//! What it costs to configure and to inspect an image: `os configure`, `os image inspect`, and what people do by hand for it.
//!
//! Sparse images of three sizes, whose boot partition and data are the same. The bytes written are those that the kernel counts
//! for the program (`time -f %O`). What is packed has to be packed anew when it is configured, and only looked into when it is inspected.

use testkit::Workstation;

use crate::desk::{os, peak_memory, shell, timed, used};
use crate::figure::{Goal, Row, Samples, Table, Unit};

/// Sizes of the images, in MB, and their names.
const SIZES: [(u64, &str); 3] = [(300, "300 MB"), (1000, "1 GB"), (4000, "4 GB")];
/// Where the boot partition begins, and the end of what is not empty, in MiB.
const BOOT_MIB: u64 = 4;
const NOISE_MIB: u64 = 200;
const MOST_MIB: f64 = 64.0;

pub(crate) fn measure(table: &mut Table, rounds: usize) {
    let workstation = Workstation::new(None);
    for (size, name) in SIZES {
        image(&workstation, size);
        raw(&workstation, table, rounds, name);
    }
    for (suffix, pack, unpack) in [
        ("zst", "zstd -q -3 -T0", "zstd -dc"),
        ("xz", "xz -1 -T0", "xz -dc"),
        ("gz", "gzip -1", "gzip -dc"),
    ] {
        let packer = Packer {
            suffix,
            pack,
            unpack,
        };
        packed(&workstation, table, rounds, &packer);
    }
}

/// An image of a boot partition, 192 MiB that cannot be packed, and nothing.
fn image(workstation: &Workstation, megabytes: u64) {
    let lines = format!(
        "set -e
        rm -f disk.img boot && truncate -s 64M boot && mkfs.vfat -F 16 -n resin-boot boot >&2
        printf '{{\"slug\":\"generic-amd64\",\"arch\":\"amd64\"}}' >device-type.json
        printf '{{\"deviceType\":\"generic-amd64\"}}' >config.json
        MTOOLS_SKIP_CHECK=1 mcopy -i boot device-type.json config.json ::
        truncate -s {megabytes}MB disk.img
        printf 'label: dos\\nstart={start}, size=131072, type=c, bootable\\nstart=139264, type=83\\n' | sfdisk -q disk.img
        dd if=boot of=disk.img bs=1M seek={BOOT_MIB} conv=notrunc status=none
        dd if=/dev/urandom of=disk.img bs=1M seek={after} count={noise} conv=notrunc status=none
        sync disk.img",
        start = BOOT_MIB * 2048,
        after = BOOT_MIB + 64,
        noise = NOISE_MIB - BOOT_MIB - 64,
    );
    timed(&workstation.machine, &mut shell(workstation, &lines));
}

/// A wish that is not fulfilled yet, in each round another one.
fn wish<'a>(image: &'a str, hostname: &'a str) -> [&'a str; 5] {
    ["configure", "--quiet", image, "--hostname", hostname]
}

fn raw(workstation: &Workstation, table: &mut Table, rounds: usize, name: &str) {
    let at = format!("disk.img@@{BOOT_MIB}M");
    let peer = format!("mcopy -o -i {at} config.json :: && sync disk.img");
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    let (mut looks, mut peeks) = (Samples::default(), Samples::default());
    let machine = &workstation.machine;
    let look = ["image", "inspect", "disk.img", "--json"];
    let peek = format!("sfdisk --json disk.img && mtype -i {at} ::config.json");
    for round in 0..=rounds {
        let hostname = format!("bench-{round}");
        let words = wish("disk.img", &hostname);
        let own = timed(machine, &mut os(workstation, &words));
        let other = timed(machine, &mut shell(workstation, &peer));
        let own_look = timed(machine, &mut os(workstation, &look));
        let other_look = timed(machine, &mut shell(workstation, &peek));
        if round > 0 {
            ours.time(own.took);
            theirs.time(other.took);
            looks.time(own_look.took);
            peeks.time(other_look.took);
        }
    }
    let what = format!("configure: {name}");
    let beside = ("mcopy && sync", theirs);
    table.row(&Row::beside(&what, ours, beside, Goal::None));
    let mut written = Samples::default();
    let words = wish("disk.img", "bench-written");
    written.add(used(workstation, &os(workstation, &words)).written);
    let mut mtools = Samples::default();
    mtools.add(used(workstation, &shell(workstation, &peer)).written);
    let what = format!("configure: {name}, bytes written");
    let row = Row::beside(&what, written, ("mcopy", mtools), Goal::None);
    table.row(&row.in_unit(Unit::Kibibytes));
    let what = format!("inspect: {name}");
    let beside = ("sfdisk, mtype", peeks);
    table.row(&Row::beside(&what, looks, beside, Goal::None));
}

struct Packer {
    suffix: &'static str,
    pack: &'static str,
    unpack: &'static str,
}

/// The last image, packed.
fn packed(workstation: &Workstation, table: &mut Table, rounds: usize, packer: &Packer) {
    let Packer {
        suffix,
        pack,
        unpack,
    } = packer;
    let name = format!("disk.img.{suffix}");
    let machine = &workstation.machine;
    let made = format!("{pack} -c disk.img >{name} && sync {name}");
    timed(machine, &mut shell(workstation, &made));
    let whole = format!("{unpack} {name} >/dev/null");
    let again = format!(
        "{unpack} {name} | {pack} -c >{name}.new && sync {name}.new && mv {name}.new {name}"
    );
    let look = ["image", "inspect", &name, "--json"];
    let (mut looks, mut wholes) = (Samples::default(), Samples::default());
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let hostname = format!("bench-{round}");
        let words = wish(&name, &hostname);
        let own_look = timed(machine, &mut os(workstation, &look));
        let other_look = timed(machine, &mut shell(workstation, &whole));
        let own = timed(machine, &mut os(workstation, &words));
        let other = timed(machine, &mut shell(workstation, &again));
        if round > 0 {
            looks.time(own_look.took);
            wholes.time(other_look.took);
            ours.time(own.took);
            theirs.time(other.took);
        }
    }
    let what = format!("inspect: 4 GB as .{suffix}");
    let row = Row::beside(
        &what,
        looks,
        ("unpacking all of it", wholes),
        Goal::Times(1.0),
    );
    table.row(&row);
    let what = format!("configure: 4 GB as .{suffix}");
    let row = Row::beside(&what, ours, ("unpack | pack", theirs), Goal::None);
    table.row(&row);
    let words = wish(&name, "bench-memory");
    for (what, program) in [
        ("inspect", os(workstation, &look)),
        ("configure", os(workstation, &words)),
    ] {
        let mut peak = Samples::default();
        peak.add(peak_memory(workstation, &program));
        let what = format!("{what}: 4 GB as .{suffix}, peak memory");
        table.row(&Row::alone(
            &what,
            Unit::Mebibytes,
            peak,
            Goal::AtMost(MOST_MIB),
        ));
    }
}
