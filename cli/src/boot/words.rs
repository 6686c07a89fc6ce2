//! The machine in qemu's words. Pure.

use std::{
    ffi::{OsStr, OsString},
    net::Ipv4Addr,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

use super::{Help, Starts, firmware::Firmware, kind::Arch};

/// Whom a machine reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Whomever this workstation does.
    All,
    /// Nobody. Its own ports are reached all the same.
    None,
}

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
    /// Whom it reaches.
    pub reach: Reach,
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

/// The arguments. Its standard input is the connection that it is controlled by, its standard output its serial port.
pub(super) fn words(hardware: &Hardware, firmware: Option<&Firmware>, help: Help) -> Vec<OsString> {
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
    if help == Help::Given {
        all.extend(plain(&["-accel", "kvm"]));
    }
    // Where the first is of no use after all.
    all.extend(plain(&["-accel", "tcg,thread=multi", "-cpu"]));
    all.push(match (arch, help) {
        // A vendor without the faults for which every system call would be made slower. KVM has those of the processor anyway.
        (Arch::X86, Help::Refused | Help::None) => "max,vendor=AuthenticAMD".into(),
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
    if hardware.reach == Reach::None {
        network.push_str(",restrict=on");
    }
    for forward in &hardware.forwards {
        let (address, Forward { guest, host }) = (hardware.address, forward);
        network.push_str(&format_args!(",hostfwd=tcp:{address}:{host}-:{guest}").to_string());
    }
    all.extend(plain(&["-netdev", &network]));
    all.extend(plain(&["-device", "virtio-net-pci,netdev=net,romfile="]));
    all.extend(plain(&["-device", "virtio-rng-pci"]));
    let serial = "file,id=serial,path=/dev/fd/1";
    all.extend(plain(&["-chardev", serial, "-serial", "chardev:serial"]));
    all.extend(plain(&["-chardev", "socket,id=control,fd=0"]));
    all.extend(plain(&["-mon", "chardev=control,mode=control"]));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hardware(starts: Starts) -> Hardware {
        Hardware {
            name: "x,y".to_owned(),
            starts,
            memory: 512,
            processors: 2,
            address: Ipv4Addr::new(127, 72, 1, 2),
            forwards: vec![Forward {
                guest: 80,
                host: 8080,
            }],
            disk: "/a,file=/etc/shadow".into(),
            reach: Reach::All,
        }
    }

    #[test]
    fn paths_are_one_value_whatever_they_are_called() {
        let mut hardware = hardware(Starts::Uefi(Arch::X86));
        let firmware = Firmware {
            code: "/code".into(),
            variables: "/own/variables".into(),
        };
        let said = words(&hardware, Some(&firmware), Help::None);
        let has = |word: &str| said.iter().any(|said| said == word);
        assert!(has(
            "if=none,id=disk,format=raw,discard=unmap,file=/a,,file=/etc/shadow"
        ));
        assert!(has("x,,y") && !has("kvm"));
        assert!(has("user,id=net,hostfwd=tcp:127.72.1.2:8080-:80"));
        assert!(has("if=pflash,unit=0,format=raw,readonly=on,file=/code"));
        hardware.reach = Reach::None;
        let said = words(&hardware, None, Help::Given);
        let has = |word: &str| said.iter().any(|said| said == word);
        assert!(has("kvm") && has("max"));
        let network = "user,id=net,restrict=on,hostfwd=tcp:127.72.1.2:8080-:80";
        assert!(has(network), "{said:?}");
        let mut words = said.iter().map(|word| word.to_string_lossy());
        assert!(!words.any(|word| word.contains("pflash")));
    }

    #[test]
    fn a_machine_of_arm_is_one() {
        let said = words(&hardware(Starts::Uefi(Arch::Arm)), None, Help::None);
        let after = |option: &str| {
            let mut said = said.iter().skip_while(|said| *said != option);
            said.nth(1).cloned().unwrap_or_default()
        };
        assert_eq!(
            (after("-machine"), after("-cpu")),
            ("virt".into(), "max".into())
        );
    }
}
