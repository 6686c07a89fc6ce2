//! Lists of the system tree against each other, and against what the ecosystem looks for on a device.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;

use crate::tree::{Tree, repository, words};

/// Units that packages and systemd bring, and that we name.
const OF_PACKAGES: [&str; 8] = [
    "ModemManager.service",
    "NetworkManager.service",
    "avahi-daemon.service",
    "local-fs.target",
    "multi-user.target",
    "systemd-journald.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
];

#[test]
fn whatever_is_started_is_there() {
    let tree = Tree::install();
    for line in words("system/enabled") {
        let [target, unit] = line.as_slice() else {
            panic!("not a target and a unit: {line:?}");
        };
        let is_there = tree.unit(unit).is_some() || OF_PACKAGES.contains(&unit.as_str());
        assert!(is_there, "{target} starts {unit}, which is nowhere");
        let link = tree.place(&format!("usr/lib/systemd/system/{target}.wants/{unit}"));
        assert!(link.is_symlink(), "{} is missing", link.display());
    }
    for line in words("system/masked") {
        let [unit] = line.as_slice() else {
            panic!("not a unit: {line:?}");
        };
        let link = tree.place(&format!("etc/systemd/system/{unit}"));
        assert_eq!(fs::read_link(link).unwrap().to_str(), Some("/dev/null"));
    }
}

#[test]
fn every_unit_is_started_by_something() {
    let tree = Tree::install();
    let files = tree.files();
    let texts: Vec<String> = files
        .iter()
        .filter(|file| file.contains("/systemd/system/") && !file.contains(".wants/"))
        .filter_map(|file| fs::read_to_string(tree.place(file)).ok())
        .collect();
    let is_named = |unit: &str| {
        texts.iter().any(|text| {
            text.lines()
                .filter(|line| !line.starts_with('#') && !line.starts_with("After="))
                .filter(|line| !line.starts_with("Before="))
                .any(|line| line.contains(unit))
        })
    };
    for file in &files {
        let name = file.rsplit('/').next().unwrap();
        let is_ours = ["/etc/systemd/system/", "/usr/lib/systemd/system/"]
            .iter()
            .any(|folder| *file == format!("{folder}{name}"))
            && tree.place(file).is_file()
            && !tree.place(file).is_symlink();
        // Started by the socket, by name of its instance; by `os-config`.
        if !is_ours || ["sshd@.service", "prepare-openvpn.service"].contains(&name) {
            continue;
        }
        let is_linked = files
            .iter()
            .any(|other| other.ends_with(&format!(".wants/{name}")));
        let by_timer = name == "os-config.service" || name == "os-configure.service";
        assert!(
            is_linked || by_timer || is_named(name),
            "nothing starts {name}"
        );
    }
}

#[test]
fn the_table_of_the_readme_names_units_that_exist() {
    let tree = Tree::install();
    let readme = fs::read_to_string(repository("os-build/README.md")).unwrap();
    let units: BTreeSet<&str> = readme
        .split('`')
        .filter(|word| {
            [".service", ".target", ".path", ".timer"]
                .iter()
                .any(|end| word.ends_with(end))
                && !word.contains(['/', ' ', '*'])
        })
        .collect();
    assert!(units.len() > 15, "the table is not found: {units:?}");
    for unit in units {
        assert!(
            tree.unit(unit).is_some() || OF_PACKAGES.contains(&unit),
            "README.md names {unit}, which is nowhere"
        );
    }
}

#[test]
fn the_state_list_of_the_ecosystem_outlasts_a_restart() {
    let binds = words("system/binds");
    let state: BTreeSet<&str> = binds
        .iter()
        .filter(|line| line.first().is_some_and(|kind| kind == "state"))
        .map(|line| line[1].as_str())
        .collect();
    // Without /etc/hostname, /etc/ssl/certs and /root/.rnd: made anew at every boot, not needed, of the past.
    for path in [
        "/etc/NetworkManager/conf.d",
        "/etc/NetworkManager/dispatcher.d",
        "/etc/NetworkManager/system-connections",
        "/etc/balena-supervisor",
        "/etc/docker",
        "/etc/openvpn",
        "/etc/ssh/hostkeys",
        "/etc/udev/rules.d",
        "/root/.docker",
        "/root/.ssh",
        "/usr/share/ca-certificates/balena",
        "/var/lib/NetworkManager",
        "/var/lib/bluetooth",
        "/var/lib/chrony",
        "/var/lib/systemd",
    ] {
        assert!(state.contains(path), "{path} does not outlast a restart");
    }
}

#[test]
fn a_bind_has_its_mount_unit_and_its_folder() {
    let tree = Tree::install();
    for (path, unit) in [
        ("/etc/ssh/hostkeys", "etc-ssh-hostkeys.mount"),
        (
            "/usr/share/ca-certificates/balena",
            "usr-share-ca\\x2dcertificates-balena.mount",
        ),
        ("/root/.ssh", "root-.ssh.mount"),
        ("/var/lib/os-agent", "var-lib-os\\x2dagent.mount"),
        ("/tmp", "tmp.mount"),
    ] {
        let text = tree.unit(unit).unwrap_or_else(|| panic!("no {unit}"));
        assert!(text.contains(&format!("\nWhere={path}\n")), "{text}");
        assert!(tree.place(path).is_dir(), "{path} is no folder of the root");
    }
    assert_eq!(
        words("system/binds").len(),
        tree.files()
            .iter()
            .filter(|file| file.contains("/etc/systemd/system/local-fs.target.wants/"))
            .count()
    );
}

#[test]
fn names_that_others_look_for_are_there() {
    let tree = Tree::install();
    for (link, to) in [
        ("usr/bin/os-config", "os-agent"),
        ("usr/bin/balena", "docker"),
        ("usr/bin/balena-engine", "docker"),
        ("resin-data", "mnt/data"),
        (
            "usr/lib/systemd/system/balena-supervisor.service",
            "os-agent.service",
        ),
        (
            "usr/lib/systemd/system/balena-engine.service",
            "balena.service",
        ),
    ] {
        assert_eq!(fs::read_link(tree.place(link)).unwrap().to_str(), Some(to));
    }
    let service = fs::read_to_string(tree.place("usr/share/os/avahi/ssh.service")).unwrap();
    for part in [
        "<name replace-wildcards=\"yes\">%h</name>",
        "<type>_ssh._tcp</type>",
        "<subtype>_resin-device._sub._ssh._tcp</subtype>",
        "<port>22222</port>",
    ] {
        assert!(service.contains(part), "{part} is missing");
    }
    assert!(!service.contains("txt-record"));
}

#[test]
fn nothing_secret_and_nothing_of_this_machine_gets_into_the_tree() {
    let tree = Tree::install();
    for file in tree.files() {
        let place = tree.place(&file);
        if place.is_symlink() {
            continue;
        }
        let mode = fs::metadata(&place).unwrap().permissions().mode() & 0o7777;
        assert!(matches!(mode, 0o644 | 0o755), "{file} has mode {mode:o}");
        let text = fs::read_to_string(&place).unwrap();
        let root = tree.place("/");
        assert!(
            !text.contains(root.to_str().unwrap()),
            "{file} names {}",
            root.display()
        );
    }
}

#[test]
fn the_disk_has_the_partitions_of_the_ecosystem_in_order() {
    let text = fs::read_to_string(repository("os-build/system/partitions.toml")).unwrap();
    let values = |key: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(&format!("{key} = ")))
            .map(|value| value.trim_matches('"').to_owned())
            .collect()
    };
    let labels = ["boot", "rootA", "rootB", "state", "data"].map(|name| format!("resin-{name}"));
    assert_eq!(values("label"), labels);
    let sizes: Vec<u32> = values("size")
        .iter()
        .map(|size| size.parse().unwrap())
        .collect();
    assert_eq!(sizes[..4], [100, 640, 640, 80], "MiB; the last one grows");
    assert_eq!(
        sizes[1], sizes[2],
        "either system must fit where the other is"
    );
    assert!(
        sizes[..4].iter().sum::<u32>() <= 1460,
        "the budget of the ecosystem"
    );
    assert_eq!(values("align"), ["4"]);
}
