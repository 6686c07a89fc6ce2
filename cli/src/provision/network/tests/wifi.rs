//! Wireless networks.

use super::{super::wifi::derived, *};

#[test]
fn network_manager_reads_names_of_wifi_networks_as_they_are() {
    for ssid in [
        "Kitchen",
        "007",
        "1;2;",
        "a;b",
        "Zoë ☕",
        " lead",
        "trail ",
        "\"quoted\"",
        "a=b",
        "#c",
        "back\\slash",
        "[x]",
        "12",
        "  ",
        "tab\tbed",
        "%s",
        "0x41",
    ] {
        let connection = wifi(ssid, Security::Open).connection().unwrap();
        is_as_made_by(&connection, &["type", "wifi", "ssid", ssid]);
    }
    let long = "x".repeat(33);
    for ssid in ["", &long] {
        assert!(wifi(ssid, Security::Open).connection().is_err());
    }
}

#[test]
fn a_wifi_password_is_stored_as_what_is_derived_of_it() {
    // IEEE 802.11-2020, J.4.2.
    for (ssid, password, key) in [
        (
            "IEEE",
            "password",
            "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e",
        ),
        (
            "ThisIsASSID",
            "ThisIsAPassword",
            "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
        ),
    ] {
        assert_eq!(derived(ssid.as_bytes(), password).unwrap(), key);
        let mut network = wifi(ssid, Security::Wpa2(Secret::new(password)));
        network.is_hidden = true;
        let connection = network.connection().unwrap();
        assert!(!String::from_utf8_lossy(&connection.bytes).contains(password));
        let words = [
            "type",
            "wifi",
            "ssid",
            ssid,
            "wifi.hidden",
            "yes",
            "wifi-sec.key-mgmt",
            "wpa-psk",
            "wifi-sec.psk",
            key,
        ];
        is_as_made_by(&connection, &words);
        assert_eq!(derived(b"any", &key.to_uppercase()).unwrap(), key);
    }
    let long = "p".repeat(64);
    for password in ["short", &long, "with\nline", "pässword"] {
        assert!(derived(b"any", password).is_err(), "{password}");
    }
}

#[test]
fn network_manager_reads_passwords_as_they_are() {
    for password in [
        "p;a\\b\"c",
        " blanks ",
        "#first",
        "01234567",
        "=eq=",
        "tail\\",
        "Zoë ☕☕",
        "[section]",
        "\\s\\n literal",
        "  ",
    ] {
        let secret = || Secret::new(password);
        let connection = wifi("x", Security::Wpa3(secret())).connection().unwrap();
        is_as_made_by(
            &connection,
            &[
                "type",
                "wifi",
                "ssid",
                "x",
                "wifi-sec.key-mgmt",
                "sae",
                "wifi-sec.psk",
                password,
            ],
        );
        let enterprise = Enterprise {
            identity: password.to_owned(),
            anonymous: Some("anonymous".to_owned()),
            proof: Proof::Ttls(secret()),
            authority: Authority::Anybody,
        };
        let connection = wifi("x", Security::Enterprise(enterprise))
            .connection()
            .unwrap();
        let words = [
            "type",
            "wifi",
            "ssid",
            "x",
            "wifi-sec.key-mgmt",
            "wpa-eap",
            "802-1x.eap",
            "ttls",
            "802-1x.identity",
            password,
            "802-1x.anonymous-identity",
            "anonymous",
            "802-1x.phase2-auth",
            "pap",
            "802-1x.password",
            password,
        ];
        is_as_made_by(&connection, &words);
    }
}

#[test]
fn a_network_that_is_entered_by_certificate_has_all_of_it_in_its_file() {
    let pem = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
    let certificate = pem("CERTIFICATE").into_bytes();
    let enterprise = |proof| {
        let enterprise = Enterprise {
            identity: "board".to_owned(),
            anonymous: None,
            proof,
            authority: Authority::These(
                Certificates::read("ca", certificate.clone()).unwrap(),
                None,
            ),
        };
        wifi("x", Security::Enterprise(enterprise)).connection()
    };
    let made = enterprise(Proof::Tls {
        certificate: certificate.clone(),
        key: Secret::new(pem("PRIVATE KEY")),
        password: None,
    });
    let made = made.unwrap();
    let read = network_manager(&["modify", "connection.id", "os-wifi-x"], &made.bytes);
    let said = |key: &str| read.get(&("802-1x".to_owned(), key.to_owned())).cloned();
    for key in ["ca-cert", "client-cert", "private-key"] {
        let value = said(key).unwrap_or_else(|| panic!("{key} of {read:?}"));
        assert!(value.starts_with("data:;base64,LS0t"), "{key}: {value}");
    }
    assert_eq!(said("private-key-password-flags").as_deref(), Some("4"));
    enterprise(Proof::Peap(Secret::new("x"))).unwrap();
    let refused = enterprise(Proof::Tls {
        certificate: certificate.clone(),
        key: Secret::new("no key"),
        password: None,
    });
    assert!(refused.unwrap_err().to_string().contains("PEM"));
}
