use std::collections::BTreeMap;

use super::*;
use crate::{
    discovery::{Address, Origin, simulated::Record},
    env::{Paths, Terminal},
};

fn device(name: &str, origin: Origin) -> Device {
    Device {
        name: name.to_owned(),
        uuid: Some("0123456789abcdef0123456789abcdef".to_owned()),
        addresses: vec![Address {
            ip: [127, 71, 0, 1].into(),
            scope: 0,
        }],
        api_port: 48484,
        engine_port: 2375,
        ssh_port: 22222,
        device_type: Some("raspberrypi3".to_owned()),
        os_version: None,
        agent_version: None,
        variant: None,
        ssh_fingerprint: None,
        origin,
    }
}

/// What a shell is offered for a line whose last word is being typed.
fn offered(home: &Path, line: &[&str]) -> Vec<String> {
    let mut variables = BTreeMap::from([(OSCLI_COMPLETE.to_owned(), "fish".to_owned())]);
    for folder in ["XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        variables.insert(folder.to_owned(), home.to_str().unwrap().to_owned());
    }
    let environment = Environment {
        args: ["os", "--"]
            .iter()
            .chain(line)
            .map(OsString::from)
            .collect(),
        program: None,
        paths: Paths::from_variables(&variables),
        variables,
        current_dir: home.to_path_buf(),
        terminal: Terminal::default(),
    };
    answer(&environment)
        .unwrap()
        .unwrap()
        .lines()
        .map(|line| line.split('\t').next().unwrap_or_default().to_owned())
        .collect()
}

fn simulated_device(home: &Path, name: &str) {
    let record = Record {
        device: device(
            name,
            Origin::Simulated {
                agent_socket: "/a".into(),
                engine_socket: "/e".into(),
            },
        ),
        agent_pid: 1,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        engine_socket: "/e".into(),
        address: [127, 71, 0, 1].into(),
        namespace: "0123456".to_owned(),
    };
    simulated::save(&Places::below(&home.join("os")).simulated, &record).unwrap();
}

#[test]
fn the_scripts_in_the_repository_are_those_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../completions");
    for shell in Shell::value_variants() {
        let file = folder.join(shell.file_name());
        assert!(
            fs_err::read_to_string(&file).unwrap() == script(*shell).unwrap(),
            "{} is not what `os completions` prints",
            file.display()
        );
    }
}

#[test]
fn verbs_and_options_are_offered() {
    let home = tempfile::tempdir().unwrap();
    let verbs = offered(home.path(), &["os", ""]);
    assert!(verbs.contains(&"simulate".to_owned()), "{verbs:?}");
    assert!(verbs.iter().all(|verb| !verb.starts_with('-')), "{verbs:?}");
    assert_eq!(
        offered(home.path(), &["os", "simulate", "--cou"]),
        ["--count"]
    );
    assert_eq!(
        offered(home.path(), &["os", "new", "web"]),
        ["web", "web-and-worker"]
    );
    // An option is all that can follow.
    assert!(offered(home.path(), &["os", "simulate", ""]).contains(&"--list".to_owned()));
}

#[test]
fn simulated_devices_are_offered_by_name() {
    let home = tempfile::tempdir().unwrap();
    simulated_device(home.path(), "abc1234");
    simulated_device(home.path(), "kitchen");
    let line = ["os", "simulate", "--stop", "k"];
    assert_eq!(offered(home.path(), &line), ["kitchen"]);
    let line = ["os", "simulate", "--stop", ""];
    assert_eq!(offered(home.path(), &line), ["abc1234", "kitchen"]);
}

#[test]
fn services_of_the_named_device_are_offered() {
    let home = tempfile::tempdir().unwrap();
    simulated_device(home.path(), "kitchen");
    let file = home.path().join("os/services.json");
    let seen = r#"[{"names": ["kitchen"], "services": ["web", "worker", "$(id)"]}, {"names": ["other"], "services": ["db"]}]"#;
    fs_err::write(file, seen).unwrap();
    for verb in ["restart", "start", "stop", "purge"] {
        assert_eq!(offered(home.path(), &["os", verb, "k"]), ["kitchen"]);
        let services = offered(home.path(), &["os", verb, "kitchen", ""]);
        assert_eq!(services, ["web", "worker"], "{verb}");
    }
    let line = ["os", "logs", "other", "--service", ""];
    assert_eq!(offered(home.path(), &line), ["db"]);
    for line in [["os", "ps", "k"], ["os", "info", "k"]] {
        assert_eq!(offered(home.path(), &line), ["kitchen"]);
    }
    let line = ["os", "local", "status", ""];
    assert_eq!(offered(home.path(), &line), ["kitchen"]);
    let line = ["os", "local", "o"];
    assert_eq!(offered(home.path(), &line), ["on", "off"]);
}

#[test]
fn both_sides_of_a_copy_are_offered() {
    let home = tempfile::tempdir().unwrap();
    simulated_device(home.path(), "kitchen");
    fs_err::write(home.path().join("kernel"), "").unwrap();
    let seen = r#"[{"names": ["kitchen"], "services": ["web", "worker", "$(id)"]}, {"names": ["other"], "services": ["db"]}]"#;
    fs_err::write(home.path().join("os/services.json"), seen).unwrap();
    let places = offered(home.path(), &["os", "cp", "k"]);
    assert_eq!(places, ["kitchen:", "kernel"]);
    let places = offered(home.path(), &["os", "cp", "kernel", "kitchen:w"]);
    assert_eq!(places, ["kitchen:web:", "kitchen:worker:"]);
    let places = offered(home.path(), &["os", "cp", "root@kitchen:/k"]);
    assert!(places.is_empty(), "{places:?}");
    for (typed, offered_there) in [
        ("root@k", &["root@kitchen:"][..]),
        (
            "root@kitchen:",
            &["root@kitchen:web:", "root@kitchen:worker:"],
        ),
    ] {
        let places = offered(home.path(), &["os", "cp", "kernel", typed]);
        assert_eq!(places, offered_there, "{typed}");
    }
}

#[test]
fn devices_are_offered_after_an_account() {
    let home = tempfile::tempdir().unwrap();
    simulated_device(home.path(), "kitchen");
    assert_eq!(offered(home.path(), &["os", "ssh", "k"]), ["kitchen"]);
    let typed = ["os", "ssh", "root@k"];
    assert_eq!(offered(home.path(), &typed), ["root@kitchen"]);
    let typed = ["os", "ssh", "root@site@k"];
    assert_eq!(offered(home.path(), &typed), ["root@site@kitchen"]);
    let typed = ["os", "ssh", "root@x"];
    assert!(offered(home.path(), &typed).is_empty());
}

#[test]
fn names_that_would_need_quoting_are_not_offered() {
    for name in ["a;b", "$(id)", "a b", "-x", "", "a\nb", "`id`", "ä"] {
        assert_eq!(known(&device(name, Origin::Network), "x"), None, "{name}");
    }
    let (name, help) = known(&device("a-b.c_1", Origin::Network), "rpi$(id)").unwrap();
    assert_eq!(name, "a-b.c_1");
    assert_eq!(help.as_deref(), Some("127.71.0.1"));
}

#[test]
fn an_ordinary_run_is_not_taken_for_a_question() {
    let environment = Environment {
        args: vec!["os".into(), "--".into(), "os".into()],
        program: None,
        paths: Paths::from_variables(&BTreeMap::new()),
        variables: BTreeMap::new(),
        current_dir: "/".into(),
        terminal: Terminal::default(),
    };
    assert!(answer(&environment).is_none());
}
