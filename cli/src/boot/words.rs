//! The machine in qemu's words. Pure.

use std::{
    ffi::{OsStr, OsString},
    net::Ipv4Addr,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use super::{Starts, firmware::Firmware, kind::Arch};

/// A port of the machine that is one of this workstation's, at the machine's loopback address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The port in the machine.
    pub guest: u16,
    /// The port here.
    pub host: u16,
}

/// What a machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// What it is called.
    pub name: String,
    /// How its disk is started.
    pub starts: Starts,
    /// Its memory, in MiB.
    pub memory: u32,
    /// Processors.
    pub processors: u32,
    /// Where its ports are.
    pub address: Ipv4Addr,
    /// Which ones.
    pub forwards: Vec<Forward>,
    /// Its disk.
    pub disk: PathBuf,
}

/// A path in an option that has several values: a comma is written twice.
fn value(path: &OsStr) -> OsString {
    let mut bytes = Vec::with_capacity(path.len());
    for byte in path.as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

fn with(before: &str, path: &OsStr) -> OsString {
    let mut word = OsString::from(before);
    word.push(value(path));
    word
}

/// The arguments. `has_help`: the processor runs it itself, by KVM.
pub(super) fn words(
    hardware: &Hardware,
    firmware: Option<&Firmware>,
    control: &OsStr,
    has_help: bool,
) -> Vec<OsString> {
    let plain = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let arch = hardware.starts.arch();
    let mut all = plain(&[
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-name",
    ]);
    all.push(value(OsStr::new(&hardware.name)));
    all.push("-machine".into());
    all.push(if arch == Arch::Arm { "virt" } else { "q35" }.into());
    if has_help {
        all.extend(plain(&["-accel", "kvm"]));
    }
    // Where the first is of no use after all.
    all.extend(plain(&["-accel", "tcg,thread=multi", "-cpu"]));
    all.push(match (arch, has_help) {
        // A vendor without the faults for which every system call would be made slower.
        (Arch::X86, false) => "max,vendor=AuthenticAMD".into(),
        _ => "max".into(),
    });
    let (memory, processors) = (hardware.memory.to_string(), hardware.processors.to_string());
    all.extend(plain(&["-m", &memory, "-smp", &processors]));
    if let Some(firmware) = firmware {
        let code = "if=pflash,unit=0,format=raw,readonly=on,file=";
        all.extend(["-drive".into(), with(code, firmware.code.as_os_str())]);
        let variables = "if=pflash,unit=1,format=raw,file=";
        all.extend([
            "-drive".into(),
            with(variables, firmware.variables.as_os_str()),
        ]);
    }
    let disk = "if=none,id=disk,format=raw,discard=unmap,file=";
    all.extend(["-drive".into(), with(disk, hardware.disk.as_os_str())]);
    all.extend(plain(&["-device", "virtio-blk-pci,drive=disk,bootindex=1"]));
    let mut network = "user,id=net".to_owned();
    for forward in &hardware.forwards {
        let (address, Forward { guest, host }) = (hardware.address, forward);
        network.push_str(&format_args!(",hostfwd=tcp:{address}:{host}-:{guest}").to_string());
    }
    all.extend(plain(&["-netdev", &network]));
    all.extend(plain(&["-device", "virtio-net-pci,netdev=net,romfile="]));
    all.extend(plain(&["-device", "virtio-rng-pci"]));
    all.extend(plain(&["-chardev", "stdio,id=serial,signal=off"]));
    all.extend(plain(&["-serial", "chardev:serial", "-qmp"]));
    let mut socket = with("unix:", control);
    socket.push(",server=on,wait=off");
    all.push(socket);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_value_whatever_they_are_called() {
        let hardware = Hardware {
            name: "x,y".to_owned(),
            starts: Starts::Uefi(Arch::X86),
            memory: 512,
            processors: 2,
            address: Ipv4Addr::new(127, 72, 1, 2),
            forwards: vec![Forward {
                guest: 80,
                host: 8080,
            }],
            disk: "/a,file=/etc/shadow".into(),
        };
        let firmware = Firmware {
            code: "/code".into(),
            variables: "/own/variables".into(),
        };
        let control = OsStr::new("/run/control");
        let said = words(&hardware, Some(&firmware), control, false);
        let has = |word: &str| said.iter().any(|said| said == word);
        assert!(has(
            "if=none,id=disk,format=raw,discard=unmap,file=/a,,file=/etc/shadow"
        ));
        assert!(has("x,,y") && has("unix:/run/control,server=on,wait=off"));
        assert!(has("user,id=net,hostfwd=tcp:127.72.1.2:8080-:80"));
        assert!(has("if=pflash,unit=0,format=raw,readonly=on,file=/code"));
        assert!(
            !has("kvm")
                && !words(&hardware, None, control, true)
                    .iter()
                    .any(|word| { word.to_string_lossy().contains("pflash") })
        );
    }
}
