use super::*;
use crate::discovery::Address;

fn device(name: &str, uuid: Option<&str>, ip: &str) -> Device {
    Device {
        name: name.to_owned(),
        uuid: uuid.map(str::to_owned),
        addresses: vec![Address {
            ip: ip.parse().unwrap(),
            scope: 0,
        }],
        api_port: 48484,
        engine_port: 2375,
        ssh_port: 22222,
        device_type: None,
        os_version: None,
        agent_version: None,
        variant: None,
        ssh_fingerprint: None,
        origin: Origin::Network,
    }
}

#[test]
fn what_was_learnt_is_there_again_and_an_unchanged_device_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/devices.json");
    let lamp = device("lamp", Some("aa"), "10.0.0.7");
    assert!(learn(&path, [&lamp]).unwrap().is_none());
    assert_eq!(
        Remembered::peek(&path).devices(),
        std::slice::from_ref(&lamp)
    );

    let before = fs_err::metadata(&path).unwrap().modified().unwrap();
    fs_err::set_permissions(
        path.parent().unwrap(),
        std::os::unix::fs::PermissionsExt::from_mode(0o555),
    )
    .unwrap();
    assert!(learn(&path, [&lamp]).unwrap().is_none());
    assert_eq!(fs_err::metadata(&path).unwrap().modified().unwrap(), before);
}

#[test]
fn a_new_address_replaces_the_old_one_and_known_facts_stay() {
    let mut remembered = Remembered::default();
    let mut lamp = device("lamp", Some("aa"), "10.0.0.7");
    lamp.device_type = Some("raspberrypi4-64".into());
    assert!(remembered.learn(&lamp));
    assert!(remembered.learn(&device("lamp", None, "10.0.0.8")));
    let [known] = remembered.devices() else {
        panic!("{remembered:?}")
    };
    assert_eq!(known.addresses, device("lamp", None, "10.0.0.8").addresses);
    assert_eq!(known.device_type.as_deref(), Some("raspberrypi4-64"));
    assert_eq!(known.uuid.as_deref(), Some("aa"));
    assert!(!remembered.learn(&device("lamp", None, "10.0.0.8")));
}

#[test]
fn two_devices_of_one_name_stay_two() {
    let mut remembered = Remembered::default();
    remembered.learn(&device("lamp", Some("aa"), "10.0.0.7"));
    remembered.learn(&device("lamp", Some("bb"), "10.0.0.8"));
    assert_eq!(remembered.devices().len(), 2);
    remembered.learn(&device("peer", None, "10.0.0.1"));
    remembered.learn(&device("peer", None, "10.0.0.2"));
    assert_eq!(remembered.devices().len(), 4);
}

#[test]
fn a_file_of_no_use_is_set_aside_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devices.json");
    for content in [
        "{",
        "[]",
        r#"{"version":2,"devices":[]}"#,
        r#"{"version":1,"devices":[{"name":7}]}"#,
    ] {
        fs_err::write(&path, content).unwrap();
        assert_eq!(Remembered::peek(&path), Remembered::default());
        let aside = learn(&path, [&device("lamp", None, "10.0.0.7")])
            .unwrap()
            .unwrap();
        assert_eq!(
            fs_err::read_to_string(aside.moved_to.unwrap()).unwrap(),
            content
        );
        assert_eq!(Remembered::peek(&path).devices().len(), 1);
    }
}

#[test]
fn the_number_of_devices_is_bounded() {
    let mut remembered = Remembered::default();
    for number in 0..2 * MOST {
        remembered.learn(&device(&format!("n{number}"), None, "10.0.0.7"));
    }
    assert_eq!(remembered.devices().len(), MOST);
    assert_eq!(remembered.devices()[0].name, format!("n{}", 2 * MOST - 1));
}

#[test]
fn local_sockets_are_not_believed_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devices.json");
    let mut lamp = device("lamp", Some("aa"), "10.0.0.7");
    lamp.origin = Origin::Simulated {
        agent_socket: "/tmp/a".into(),
        engine_socket: "/tmp/e".into(),
    };
    let mut remembered = Remembered::default();
    assert!(!remembered.learn(&lamp));
    remembered.devices.push(lamp);
    remembered.save(&path).unwrap();
    assert!(Remembered::peek(&path).devices().is_empty());
}
