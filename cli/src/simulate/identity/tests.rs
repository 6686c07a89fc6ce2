use std::collections::BTreeSet;

use super::*;

fn random(seed: u8) -> [u8; 16] {
    let mut bytes = [seed; 16];
    bytes[0] = seed.wrapping_mul(31);
    bytes
}

fn new(seed: u8, wish: &Wish, taken: &[Identity]) -> Option<Identity> {
    Identity::new(random(seed), wish, Path::new("/e.sock"), taken, |_| true).unwrap()
}

#[test]
fn a_device_is_what_was_wished_for_and_the_usual_otherwise() {
    let wish = Wish {
        device_type: Some("raspberrypi4-64".to_owned()),
        arch: Some("aarch64".to_owned()),
        ..Wish::default()
    };
    let device = new(1, &wish, &[]).unwrap();
    assert_eq!(device.uuid, "1f010101010101010101010101010101");
    assert_eq!(device.name, "1f01010");
    assert_eq!(device.namespace, "1f01010");
    assert_eq!(device.device_type, "raspberrypi4-64");
    assert!(!device.allow_privileged);

    let wish = Wish {
        arch: Some("aarch64".to_owned()),
        ..Wish::default()
    };
    assert_eq!(new(1, &wish, &[]).unwrap().device_type, "generic-aarch64");
}

#[test]
fn names_and_short_uuids_are_given_once() {
    let wish = Wish::default();
    let first = new(1, &wish, &[]).unwrap();
    assert_eq!(new(1, &wish, std::slice::from_ref(&first)), None);
    let wish = Wish {
        name: Some(first.name.clone()),
        ..wish
    };
    assert_eq!(new(2, &wish, &[first]), None);
}

#[test]
fn addresses_are_given_once_and_stay_in_their_network() {
    for seed in 0..=255 {
        let tried: Vec<_> = addresses([seed; 16]).collect();
        assert_eq!(tried.iter().collect::<BTreeSet<_>>().len(), tried.len());
        for address in tried {
            let [first, second, _, fourth] = address.octets();
            assert_eq!([first, second], NETWORK);
            assert!((1..=254).contains(&fourth), "{address}");
        }
    }
    let wish = Wish::default();
    let mut taken: Vec<Identity> = Vec::new();
    for seed in 1..=100 {
        // All want the same address: only the last four bytes decide.
        let mut bytes = random(seed);
        bytes[12..].fill(0);
        let device = Identity::new(bytes, &wish, Path::new("/e.sock"), &taken, |_| true)
            .unwrap()
            .unwrap();
        assert!(taken.iter().all(|other| other.address != device.address));
        taken.push(device);
    }
}

#[test]
fn without_a_free_address_there_is_no_device() {
    let error = Identity::new(
        random(1),
        &Wish::default(),
        Path::new("/e.sock"),
        &[],
        |_| false,
    )
    .unwrap_err();
    assert!(matches!(error, SimulateError::NoAddress { .. }), "{error}");
}

#[test]
fn host_names_are_labels() {
    assert_eq!(Wish::host_name("Kitchen-2").unwrap(), "kitchen-2");
    for bad in ["", "-a", "a-", "a.b", "a b", "../x", "ä", &"x".repeat(64)] {
        assert!(Wish::host_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_wish_that_a_device_does_not_fulfil_is_told() {
    let device = new(1, &Wish::default(), &[]).unwrap();
    assert_eq!(device.differs(&Wish::default()), None);
    let wish = Wish {
        allow_privileged: true,
        ..Wish::default()
    };
    assert_eq!(
        device.differs(&wish).as_deref(),
        Some("nothing privileged allowed")
    );
    let wish = Wish {
        device_type: Some("raspberrypi3".to_owned()),
        ..Wish::default()
    };
    assert_eq!(
        device.differs(&wish),
        Some(format!("device type {}", device.device_type))
    );
}

#[test]
fn devices_are_read_back_and_a_broken_file_hides_none() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(load_all(&home.path().join("none")).unwrap(), []);

    let device = new(1, &Wish::default(), &[]).unwrap();
    record_file::replace(&device.folder(home.path()).identity(), &device).unwrap();
    let broken = home.path().join("abcdef0");
    fs_err::create_dir(&broken).unwrap();
    fs_err::write(broken.join("identity.json"), "{").unwrap();
    // Neither records nor folders of others are devices.
    fs_err::write(home.path().join("1f01010.json"), "{}").unwrap();
    fs_err::create_dir(home.path().join("notes")).unwrap();

    let found = load_all(home.path()).unwrap();
    assert_eq!(found, [device, Identity::remains("abcdef0")]);
}
