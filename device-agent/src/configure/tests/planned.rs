use serde_json::{Value, json};

use super::super::decide::{Found, decide};
use super::super::plan::{self, Deed, Plan, Seen, UnitDeed};
use super::super::remembered::{Memory, Remembered, Undone};
use super::super::ssh_key::ED25519;
use super::UUID;

fn planned(config: &Value) -> Plan {
    let found = Found {
        file: Ok(config.as_object().unwrap().clone()),
        is_boot_there: true,
        last_good: None,
        kept_uuid: None,
        new_uuid: UUID.to_owned(),
    };
    let decision = decide(&found);
    plan::plan(&decision.in_force.config, &decision.uuid)
}

fn content(plan: &Plan, path: &str) -> Option<String> {
    let mut files = plan.parts.iter().flat_map(|part| &part.files);
    let file = files.find(|file| file.path == path)?;
    Some(String::from_utf8(file.content.clone()).unwrap())
}

/// What is seen where this plan was carried out.
fn carried_out(plan: &Plan) -> Seen {
    let mut remembered = Remembered::default();
    remembered.done(plan, Undone::default());
    let files = plan.parts.iter().flat_map(|part| &part.files);
    remembered.seen(files.map(|file| file.path.clone()).collect())
}

/// What happens to units when one config.json becomes another.
fn told(before: &Value, after: &Value) -> Vec<(&'static str, Deed)> {
    let seen = carried_out(&planned(before));
    let plan = planned(after);
    let changes = plan::changes(&plan, &seen);
    let units = changes.units(&[].into()).into_iter();
    units
        .map(|(UnitDeed { unit, deed }, _)| (unit, deed))
        .collect()
}

#[test]
fn units_are_told_only_of_what_concerns_them() {
    use Deed::{Reload, Restart, Run};
    let base = json!({"uuid": UUID, "theirs": 1});
    let with = |more: Value| {
        let mut all = base.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    assert_eq!(told(&base, &base), []);
    assert_eq!(told(&base, &with(json!({"theirs": 2, "more": {}}))), []);
    let agent = ("os-agent.service", Restart);
    for (more, expected) in [
        (
            json!({"hostname": "kitchen"}),
            vec![("avahi-daemon.service", Restart), agent],
        ),
        (
            json!({"developmentMode": true}),
            vec![
                ("balena.service", Restart),
                ("development-features.target", Run),
                agent,
            ],
        ),
        (json!({"os": {"sshKeys": [ED25519]}}), vec![]),
        (
            json!({"persistentLogging": true}),
            vec![
                ("systemd-journald.service", Restart),
                ("os-persistent-logging.service", Run),
            ],
        ),
        (
            json!({"dnsServers": "9.9.9.9"}),
            vec![("dnsmasq.service", Reload)],
        ),
        (
            json!({"ntpServers": "a.example"}),
            vec![("chrony.service", Reload)],
        ),
        (json!({"country": "DE"}), vec![("os-country.service", Run)]),
        (
            json!({"os": {"udevRules": {"10-a": "A"}}}),
            vec![
                ("systemd-udevd.service", Reload),
                ("systemd-udev-trigger.service", Run),
            ],
        ),
        (
            json!({"os": {"network": {"wifi": {"randomMacAddressScan": true}}}}),
            vec![("NetworkManager.service", Reload)],
        ),
        (json!({"listenPort": 4848}), vec![agent]),
        (json!({"initialDeviceName": "The kitchen's"}), vec![agent]),
        (json!({"registryEndpoint": "registry.example"}), vec![agent]),
        (
            json!({"os": {"fan": {"profile": "quiet"}}}),
            vec![("os-fan-profile.service", Run)],
        ),
        (
            json!({"os": {"power": {"mode": "low"}}}),
            vec![("os-power-mode.service", Run)],
        ),
        (
            json!({"os": {"kernel": {"extraFirmwareVol": true}}}),
            vec![("os-extra-firmware.service", Run)],
        ),
    ] {
        let changed = with(more);
        assert_eq!(told(&base, &changed), expected, "{changed}");
        assert_eq!(told(&changed, &base), expected, "{changed} taken back");
    }
}

#[test]
fn a_unit_is_told_once_with_all_reasons() {
    let seen = carried_out(&planned(&json!({"uuid": UUID})));
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";
    let plan = planned(&json!({"uuid": UUID, "balenaRootCA": pem, "developmentMode": true}));
    let changes = plan::changes(&plan, &seen);
    let units = changes.units(&[].into());
    let engine: Vec<_> = units
        .iter()
        .filter(|(wish, _)| wish.unit == "balena.service")
        .collect();
    assert_eq!(engine.len(), 1);
    assert_eq!(engine[0].1, ["balenaRootCA", "developmentMode"]);
}

#[test]
fn who_may_enter_is_what_mode_and_keys_say() {
    let dev = json!({"uuid": UUID, "developmentMode": true});
    let open = "PermitEmptyPasswords=yes";
    for (config, is_open, has_keys) in [
        (dev.clone(), true, false),
        (
            json!({"uuid": UUID, "developmentMode": true, "os": {"sshKeys": []}}),
            true,
            false,
        ),
        (
            json!({"uuid": UUID, "developmentMode": true, "os": {"sshKeys": ["no key"]}}),
            false,
            false,
        ),
        (
            json!({"uuid": UUID, "developmentMode": true, "os": {"sshKeys": [ED25519]}}),
            false,
            true,
        ),
        (
            json!({"uuid": UUID, "os": {"sshKeys": [ED25519]}}),
            false,
            true,
        ),
        (json!({"uuid": UUID}), false, false),
    ] {
        let plan = planned(&config);
        let options = content(&plan, "run/os/ssh.env").unwrap();
        assert_eq!(options.contains(open), is_open, "{config}");
        assert_eq!(
            options.contains("PasswordAuthentication=no"),
            !is_open,
            "{config}"
        );
        let keys = content(&plan, "run/os/ssh/authorized_keys").unwrap();
        assert_eq!(
            keys,
            if has_keys {
                format!("{ED25519}\n")
            } else {
                String::new()
            }
        );
    }
    let engine = |config: &Value| content(&planned(config), "run/os/engine.env").unwrap();
    assert_eq!(
        engine(&dev),
        "BALENA_DEVELOPMENT_ARGS=-H tcp://0.0.0.0:2375 --tls=false\n"
    );
    assert_eq!(engine(&json!({})), "BALENA_DEVELOPMENT_ARGS=\n");
    assert!(content(&planned(&dev), "run/os/development").is_some());
    assert!(content(&planned(&json!({})), "run/os/development").is_none());
}

#[test]
fn the_tunnel_is_opened_with_the_key_that_the_cloud_knows() {
    let auth = |more: Value| {
        let mut all = json!({"uuid": UUID, "apiEndpoint": "https://api.example"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        content(&planned(&all), "var/volatile/vpn-auth")
    };
    let of = |key: &str| Some(format!("{UUID}\n{key}\n"));
    assert_eq!(auth(json!({"apiKey": "p", "deviceApiKey": "d"})), of("p"));
    assert_eq!(
        auth(json!({"apiKey": "p", "deviceApiKey": "d", "registered_at": "1"})),
        of("d")
    );
    assert_eq!(auth(json!({"deviceApiKey": "d"})), of("d"));
    assert_eq!(auth(json!({})), None);
    assert_eq!(auth(json!({"apiEndpoint": "", "deviceApiKey": "d"})), None);
}

#[test]
fn every_file_of_a_device_of_which_all_is_asked() {
    let plan = planned(&json!({
        "uuid": UUID,
        "hostname": "kitchen",
        "developmentMode": true,
        "persistentLogging": true,
        "dnsServers": "9.9.9.9",
        "ntpServers": "a.example b.example",
        "country": "de",
        "apiEndpoint": "https://api.example/",
        "deviceApiKey": "device",
        "os": {
            "sshKeys": [ED25519],
            "udevRules": {"10-a": "A", "b": "B\n"},
            "network": {"wifi": {"randomMacAddressScan": true}},
            "fan": {"profile": "cool"},
            "power": {"mode": "high"},
            "kernel": {"extraFirmwareVol": true}
        }
    }));
    let files = plan.parts.iter().flat_map(|part| &part.files);
    let texts = files.map(|file| {
        let text = String::from_utf8(file.content.clone()).unwrap();
        format!("/{} {:o}\n{text}\n", file.path, file.mode)
    });
    let all: Vec<String> = texts.collect();
    insta::assert_snapshot!(all.concat());
}

#[test]
fn the_network_is_watched_as_the_keys_say() {
    let watch = |more: Value| {
        let mut all = json!({"uuid": UUID});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        content(&planned(&all), "run/NetworkManager/conf.d/os.conf").unwrap()
    };
    assert_eq!(watch(json!({})), "[connectivity]\nenabled=false\n");
    assert_eq!(
        watch(json!({"apiEndpoint": "https://api.example/"})),
        "[connectivity]\nenabled=true\nuri=https://api.example/connectivity-check\ninterval=3600\nresponse=\n"
    );
    let own = json!({"uri": "http://check.example", "interval": 60, "response": "ok"});
    let wifi = json!({"randomMacAddressScan": false});
    assert_eq!(
        watch(
            json!({"apiEndpoint": "https://api.example", "os": {"network": {"connectivity": own, "wifi": wifi}}})
        ),
        "[connectivity]\nenabled=true\nuri=http://check.example\ninterval=60\nresponse=ok\n\n[device-os]\nwifi.scan-rand-mac-address=no\n"
    );
}

#[test]
fn servers_certificates_and_sizes_are_what_the_keys_say() {
    let of = |keys: Value, path: &str| content(&planned(&keys), path);
    let names = "run/dnsmasq.servers";
    assert_eq!(of(json!({}), names).unwrap(), "server=8.8.8.8\n");
    assert_eq!(of(json!({"dnsServers": "null"}), names).unwrap(), "");
    assert_eq!(
        of(json!({"dnsServers": "9.9.9.9 1.1.1.1#53"}), names).unwrap(),
        "server=9.9.9.9\nserver=1.1.1.1#53\n"
    );
    let certificates = "run/os/certificates/balenaRootCA.crt";
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";
    assert_eq!(of(json!({}), certificates), None);
    let made = of(json!({"balenaRootCA": pem}), certificates).unwrap();
    assert_eq!(
        made,
        "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    );
    let journal = of(
        json!({"os": {"journal": {"memory": "16M", "disk": "1G"}}}),
        "run/systemd/journald.conf.d/os.conf",
    );
    assert_eq!(
        journal.unwrap(),
        "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nSystemMaxUse=1G\n"
    );
    let port = planned(&json!({"uuid": UUID, "listenPort": 4848}));
    let input = port
        .parts
        .iter()
        .find(|part| part.name == "agent")
        .map(|part| part.input.clone());
    assert!(String::from_utf8(input.unwrap()).unwrap().contains("4848"));
}

#[test]
fn what_failed_is_told_once_and_again_when_it_is_done() {
    let before = planned(&json!({"uuid": UUID}));
    let after = planned(&json!({"uuid": UUID, "developmentMode": true}));
    let files = after.parts.iter().flat_map(|part| &part.files);
    let all: std::collections::BTreeSet<String> = files.map(|file| file.path.clone()).collect();
    let engine = "run/os/engine.env".to_owned();
    let mut without = all.clone();
    without.remove(&engine);
    let mut remembered = Remembered::default();
    remembered.done(&before, Undone::default());
    // The file of one part cannot be written, the unit of another not be told.
    let failed = Undone {
        unwritten: [engine.clone()].into(),
        untold: [("agent".to_owned(), "os-agent.service".to_owned())].into(),
        ..Undone::default()
    };
    let told = |remembered: &Remembered,
                there: &std::collections::BTreeSet<String>,
                unwritten: &Undone| {
        let seen = remembered.seen(there.clone());
        let changes = plan::changes(&after, &seen);
        let units = changes.units(&unwritten.unwritten).into_iter();
        units.map(|(told, _)| told.unit).collect::<Vec<_>>()
    };
    let everybody = [
        "balena.service",
        "development-features.target",
        "os-agent.service",
    ];
    // What could be done is told of.
    assert_eq!(told(&remembered, &without, &failed), everybody);
    remembered.done(&after, failed.clone());
    // It fails again and again, over what is kept of it: only who does not know is told.
    let kept = Remembered::read(&serde_json::to_vec(&remembered).unwrap());
    assert_eq!(kept, remembered);
    assert_eq!(told(&kept, &without, &failed), ["os-agent.service"]);
    let unwritten = Undone {
        untold: [].into(),
        ..failed
    };
    remembered.done(&after, unwritten.clone());
    assert_eq!(told(&remembered, &without, &unwritten), [""; 0]);
    // It is written.
    let none = Undone::default();
    assert_eq!(told(&remembered, &without, &none), everybody[..2]);
    // Power is cut between that and the telling.
    let seen = remembered.seen(without.clone());
    remembered.about_to(&after, &plan::changes(&after, &seen));
    assert_eq!(told(&remembered, &all, &none), everybody[..2]);
    remembered.done(&after, none.clone());
    assert_eq!(told(&remembered, &all, &none), [""; 0]);
}

#[test]
fn a_file_that_cannot_be_written_is_no_loss_of_memory() {
    let plan = planned(&json!({"uuid": UUID}));
    let mut remembered = Remembered::default();
    remembered.done(&plan, Undone::default());
    let mut memory = Memory::default();
    assert_eq!(memory.recall(None), None);
    memory.keep(None, remembered.clone());
    assert_eq!(memory.recall(None), Some(remembered.clone()));
    // Another process did more.
    let theirs = Remembered::default();
    let bytes = serde_json::to_vec(&theirs).unwrap();
    assert_eq!(memory.recall(Some(bytes.clone())), Some(theirs));
    memory.keep(Some(bytes.clone()), remembered.clone());
    assert_eq!(memory.recall(Some(bytes)), Some(remembered));
}

#[test]
fn a_sentence_is_said_when_it_is_news() {
    let mut memory = Memory::default();
    let mut said = |sentences: &[&str]| {
        let news = sentences.iter().filter(|sentence| memory.is_news(sentence));
        let news: Vec<_> = news.map(|sentence| (*sentence).to_owned()).collect();
        memory.keep(None, Remembered::default());
        news
    };
    assert_eq!(said(&["a", "b", "a"]), ["a", "b"]);
    assert_eq!(said(&["b", "a"]), [""; 0]);
    assert_eq!(said(&["b", "c"]), ["c"]);
    assert_eq!(said(&["a"]), ["a"], "it was good in between");
}
