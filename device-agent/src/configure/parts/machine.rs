//! The machine itself: its name, journal, devices and board.

use super::super::config::Config;
use super::super::plan::{Deed, Part};
use super::{AVAHI, OPEN, assignment, part};

/// What the journal may hold where config.json does not say: in memory, and on the data partition.
const IN_MEMORY: &str = "8M";
const ON_DISK: &str = "32M";

pub(super) fn hostname(hostname: &str) -> Part {
    part("hostname", "hostname")
        .file("run/os/hostname", OPEN, format!("{hostname}\n"))
        .unit(Deed::Restart, AVAHI)
}

pub(super) fn journal(config: &Config) -> Part {
    let journal = &config.journal;
    let storage = if journal.is_persistent {
        "persistent"
    } else {
        "volatile"
    };
    let in_memory = journal.in_memory.as_deref().unwrap_or(IN_MEMORY);
    let on_disk = journal.on_disk.as_deref().unwrap_or(ON_DISK);
    let text = format!(
        "[Journal]\nStorage={storage}\nRuntimeMaxUse={in_memory}\nSystemMaxUse={on_disk}\n"
    );
    part("journal", "persistentLogging, os.journal")
        .file("run/systemd/journald.conf.d/os.conf", OPEN, text)
        .file_if(journal.is_persistent, "run/os/persistent-logging", "")
        // The other one talks with it, and is ordered after it.
        .unit(Deed::Restart, "systemd-journald.service")
        .unit(Deed::Run, "os-persistent-logging.service")
}

pub(super) fn udev(config: &Config) -> Part {
    let mut part = part("udev", "os.udevRules");
    for (name, rule) in &config.udev_rules {
        let mut rule = rule.clone();
        if !rule.ends_with('\n') {
            rule.push('\n');
        }
        part = part.file(format!("run/udev/rules.d/{name}.rules"), OPEN, rule);
    }
    part.unit(Deed::Reload, "systemd-udevd.service")
        // Devices that are there already.
        .unit(Deed::Run, "systemd-udev-trigger.service")
}

pub(super) fn fan(config: &Config) -> Part {
    let profile = config.board.fan_profile.as_deref();
    part("fan", "os.fan.profile")
        .file(
            "run/os/fan-profile.env",
            OPEN,
            assignment("FAN_PROFILE", profile),
        )
        .unit(Deed::Run, "os-fan-profile.service")
}

pub(super) fn power(config: &Config) -> Part {
    let mode = config.board.power_mode.as_deref();
    part("power", "os.power.mode")
        .file(
            "run/os/power-mode.env",
            OPEN,
            assignment("POWER_MODE", mode),
        )
        .unit(Deed::Run, "os-power-mode.service")
}

pub(super) fn firmware(config: &Config) -> Part {
    let volume = config.board.firmware_volume.as_deref();
    part("firmware", "os.kernel.extraFirmwareVol")
        .file(
            "run/os/firmware.env",
            OPEN,
            assignment("EXTRA_FIRMWARE_VOLUME", volume),
        )
        .unit(Deed::Run, "os-extra-firmware.service")
}
