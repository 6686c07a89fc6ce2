use clap::{CommandFactory, Parser};

use super::*;

fn load(dir: &Path, config: Option<&str>, flags: &[&str]) -> Result<Settings, SettingsError> {
    let config_json = dir.join("config.json");
    if let Some(text) = config {
        fs_err::write(&config_json, text).unwrap();
    }
    let state = dir.join("state");
    let mut words = vec![
        "os-agent".to_owned(),
        "run".to_owned(),
        format!("--config-json={}", config_json.display()),
        format!(
            "--last-good-config-json={}",
            dir.join("last-good.json").display()
        ),
        format!("--state-dir={}", state.display()),
        format!(
            "--device-type-json={}",
            dir.join("device-type.json").display()
        ),
        format!("--os-release={}", dir.join("os-release").display()),
    ];
    words.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let Command::Run(arguments) = Arguments::parse_from(words).command else {
        panic!("another command");
    };
    Settings::load(&arguments)
}

#[test]
fn a_device_without_config_keeps_the_uuid_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let first = load(dir.path(), None, &[]).unwrap();
    let second = load(dir.path(), None, &[]).unwrap();
    assert_eq!(first.facts.uuid.len(), 32);
    assert_eq!(first.facts.uuid, second.facts.uuid);
    assert_eq!(first.facts.hostname, first.facts.uuid[..7]);
    assert_eq!(first.listen, ["[::]:48484".parse().unwrap()]);
    assert!(first.faults.is_empty());
}

#[test]
fn flags_win_over_config_json() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{"uuid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","hostname":"kitchen","listenPort":"4000","developmentMode":true}"#;
    let settings = load(dir.path(), Some(config), &[]).unwrap();
    assert_eq!(settings.facts.hostname, "kitchen");
    assert_eq!(settings.facts.listen_port, 4000);
    assert_eq!(settings.variant, Variant::Development);
    let uuid = "b".repeat(32);
    let settings = load(
        dir.path(),
        Some(config),
        &["--uuid", &uuid, "--hostname=attic", "--listen=127.0.0.1:99"],
    )
    .unwrap();
    assert_eq!(settings.facts.uuid, uuid);
    assert_eq!(settings.facts.hostname, "attic");
    assert_eq!(settings.facts.listen_port, 99);
}

#[test]
fn a_broken_config_json_is_a_fault_and_keeps_the_identity() {
    let dir = tempfile::tempdir().unwrap();
    let good = r#"{"uuid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"#;
    load(dir.path(), Some(good), &[]).unwrap();
    for broken in [
        "",
        "{",
        "[]",
        "\u{0}",
        r#"{"uuid":7,"listenPort":99999999,"developmentMode":"x"}"#,
        r#"{"uuid":"of another kind"}"#,
        r#"{"hostname":"two words"}"#,
        r#"{"initialDeviceName":"two\nlines"}"#,
        r#"{"uuid":"not a uuid"}"#,
        r#"{"hostname":"not a host name"}"#,
    ] {
        let settings = load(dir.path(), Some(broken), &[]).unwrap();
        assert_eq!(settings.facts.uuid, "a".repeat(32), "{broken:?}");
        assert_eq!(settings.facts.hostname, "a".repeat(7), "{broken:?}");
        assert_eq!(settings.initial_name, DEFAULT_NAME, "{broken:?}");
        assert!(!settings.faults.is_empty(), "{broken:?}");
    }
}

#[test]
fn for_a_broken_config_json_the_last_good_one_stands_in() {
    let dir = tempfile::tempdir().unwrap();
    let good = r#"{"uuid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","listenPort":4000,"apiEndpoint":"https://api.example"}"#;
    fs_err::write(dir.path().join("last-good.json"), good).unwrap();
    let settings = load(dir.path(), Some("{\"uuid\":"), &[]).unwrap();
    assert_eq!(settings.facts.listen_port, 4000);
    assert!(settings.managed && settings.is_membership_known);
    assert!(
        settings
            .faults
            .iter()
            .any(|fault| fault.contains("the last good one stands"))
    );
}

#[test]
fn config_json_says_to_the_agent_what_it_says_to_the_rest_of_the_system() {
    let uuid = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let dir = tempfile::tempdir().unwrap();
    let good = format!(
        r#"{{"uuid":"{uuid}","hostname":"kitchen","listenPort":4000,"developmentMode":true,"apiEndpoint":"https://api.example","deviceApiKey":"hush"}}"#
    );
    fs_err::write(dir.path().join("last-good.json"), good).unwrap();
    let spaced = r#"{"uuid":" AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n","hostname":" kitchen ","listenPort":" 4000 ","developmentMode":" true","apiEndpoint":" https://api.example ","deviceApiKey":"hush\n"}"#;
    let unusable = r#"{"hostname":"two words","listenPort":"high","developmentMode":true,"apiEndpoint":7,"deviceApiKey":["hush"]}"#;
    // Spaces around values, values that cannot be used, and no file at all.
    for (config, is_told) in [(Some(spaced), false), (Some(unusable), true), (None, true)] {
        if config.is_none() {
            fs_err::remove_file(dir.path().join("config.json")).unwrap();
        }
        let settings = load(dir.path(), config, &[]).unwrap();
        let facts = &settings.facts;
        assert_eq!(facts.uuid, uuid, "{config:?}");
        assert_eq!(facts.hostname, "kitchen", "{config:?}");
        assert_eq!(facts.listen_port, 4000, "{config:?}");
        assert_eq!(settings.variant, Variant::Development, "{config:?}");
        assert!(settings.managed && settings.is_membership_known);
        let cloud = facts.cloud.as_ref().unwrap();
        assert_eq!(cloud.api_url.as_deref(), Some("https://api.example"));
        assert_eq!(cloud.key.as_ref().unwrap().reveal(), "hush");
        // That there is a fleet is one of them.
        assert_eq!(settings.faults.len() > 1, is_told, "{:?}", settings.faults);
    }
    // A simulated device is another one than the machine it runs on.
    let flags = ["--simulated=ab12cd3", "--simulated-address=127.71.0.9"];
    let simulated = load(dir.path(), None, &flags).unwrap();
    assert_eq!(simulated.facts.listen_port, agent_api::API_PORT);
}

#[test]
fn a_uuid_that_is_kept_for_the_system_is_the_agents_too() {
    let dir = tempfile::tempdir().unwrap();
    let uuid = "b".repeat(32);
    fs_err::write(dir.path().join("uuid"), format!("{uuid}\n")).unwrap();
    let settings = load(dir.path(), Some("{"), &[]).unwrap();
    assert_eq!(settings.facts.uuid, uuid);
    assert_eq!(settings.facts.hostname, uuid[..7]);
}

#[test]
fn an_address_that_is_none_is_no_reason_to_leave_a_fleet() {
    for (config, is_known) in [
        (r#"{"apiEndpoint":7}"#, false),
        (r#"{"apiEndpoint":"api.example"}"#, false),
        (r#"{"apiEndpoint":""}"#, true),
        ("{}", true),
        ("{", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let settings = load(dir.path(), Some(config), &[]).unwrap();
        assert!(!settings.managed, "{config}");
        assert_eq!(settings.is_membership_known, is_known, "{config}");
    }
}

#[test]
fn facts_come_from_the_system_when_no_flag_gives_them() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(
        dir.path().join("device-type.json"),
        r#"{"slug":"raspberrypi4-64","arch":"aarch64"}"#,
    )
    .unwrap();
    fs_err::write(
        dir.path().join("os-release"),
        "ID=os\nPRETTY_NAME=\"os 1.0.0\"\n",
    )
    .unwrap();
    let settings = load(dir.path(), None, &[]).unwrap();
    assert_eq!(settings.facts.device_type, "raspberrypi4-64");
    assert_eq!(settings.facts.arch, "aarch64");
    assert_eq!(settings.facts.os_version, "os 1.0.0");
}

#[test]
fn address_and_key_of_the_cloud_are_known_each_for_itself() {
    let cloud = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path(), Some(text), &[]).unwrap().facts.cloud
    };
    assert_eq!(cloud("{}"), None);
    assert_eq!(cloud(r#"{"apiEndpoint":"","deviceApiKey":""}"#), None);
    let young = cloud(r#"{"apiEndpoint":"https://api.example"}"#).unwrap();
    assert_eq!(young.api_url.as_deref(), Some("https://api.example"));
    assert_eq!(young.key, None);
    let key = cloud(r#"{"deviceApiKey":"hush"}"#).unwrap();
    assert_eq!((key.api_url, key.key.unwrap().reveal()), (None, "hush"));
    let whole = cloud(
        r#"{"apiEndpoint":"https://api.example","deviceApiKey":"hush","registryEndpoint":"https://Registry.example/"}"#,
    );
    assert_eq!(whole.unwrap().registry.as_deref(), Some("registry.example"));
}

#[test]
fn a_host_name_is_written_among_the_keys_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    fs_err::write(&file, r#"{"z":1,"hostname":"a","b":{"y":[],"x":2}}"#).unwrap();
    config_json::set_hostname(&file, "kitchen").unwrap();
    let text = fs_err::read_to_string(&file).unwrap();
    assert_eq!(text, r#"{"z":1,"hostname":"kitchen","b":{"y":[],"x":2}}"#);
    assert_eq!(config_json::hostname(&file).as_deref(), Some("kitchen"));
    fs_err::write(&file, "{").unwrap();
    assert!(config_json::set_hostname(&file, "attic").is_err());
    assert_eq!(
        fs_err::read_to_string(&file).unwrap(),
        "{",
        "it was overwritten"
    );
    fs_err::remove_file(&file).unwrap();
    assert_eq!(config_json::hostname(&file), None);
    // A new one would say that the device is in no fleet.
    let missing = config_json::set_hostname(&file, "attic").unwrap_err();
    assert!(missing.to_string().contains("boot partition"), "{missing}");
    assert!(!file.exists());
}

#[test]
fn a_simulated_device_has_no_machine_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--simulated=ab12cd3", "--simulated-address=127.71.0.9"];
    assert_eq!(load(dir.path(), None, &flags).unwrap().machine, None);
    let machine = load(dir.path(), None, &["--host-root=/mnt/root"])
        .unwrap()
        .machine;
    let machine = machine.unwrap();
    assert_eq!(machine.root, Path::new("/mnt/root"));
    assert_eq!(machine.proxy_dir(), dir.path().join("system-proxy"));
}

#[test]
fn what_cannot_work_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for flags in [
        &["--uuid=abc"][..],
        &["--hostname=-x"],
        &["--hostname=a.b"],
        &["--engine=tcp://1.2.3.4:2375"],
        &["--simulated=A_B", "--simulated-address=127.71.0.1"],
        &["--simulated=ab", "--simulated-address=0.0.0.0"],
        &["--simulated=ab", "--simulated-address=192.168.1.2"],
    ] {
        assert!(load(dir.path(), None, flags).is_err(), "{flags:?}");
    }
}

#[test]
fn a_simulated_device_listens_on_its_own_address() {
    let dir = tempfile::tempdir().unwrap();
    let settings = load(
        dir.path(),
        None,
        &["--simulated=ab12cd3", "--simulated-address=127.71.0.9"],
    )
    .unwrap();
    assert_eq!(settings.listen, ["127.71.0.9:48484".parse().unwrap()]);
    let confinement = settings.facts.confinement.unwrap();
    assert_eq!(confinement.namespace, "ab12cd3");
    assert!(!confinement.allow_privileged);
    assert!(settings.facts.services_dir.ends_with("state/services"));
}

#[test]
fn the_agent_tells_as_much_of_itself_as_it_is_asked_to_and_nothing_of_what_it_sends() {
    for (asked, filter) in [
        (None, "info"),
        (Some("warn"), "warn"),
        (Some("debug"), "info,os_agent=debug"),
        (Some(" Trace"), "info,os_agent=trace"),
        // Who writes a filter is taken at their word.
        (Some("warn,hyper=trace"), "warn,hyper=trace"),
    ] {
        assert_eq!(log_filter(asked.map(str::to_owned)), filter);
    }
    for command in [Arguments::command(), run_command()] {
        let mut command = command;
        let help = command.render_long_help().to_string();
        assert!(help.contains(LOG_VARIABLE), "{help}");
    }
}

fn run_command() -> clap::Command {
    let arguments = Arguments::command();
    arguments.find_subcommand("run").unwrap().clone()
}
