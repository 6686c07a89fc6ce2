//! `os configure` and `os config`: what cannot be, however it is said.

use serde_json::Value;
use testkit::Workstation;

use crate::{
    USAGE,
    disks::{Disk, Layout, SYSTEMS},
};

fn config(disk: &Disk) -> Value {
    serde_json::from_slice(&disk.files()["config.json"]).unwrap()
}

#[tokio::test]
async fn a_value_that_the_image_had_before_is_no_hindrance() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let old = workstation.write("old.json", r#"{"country":"Germany","vpnPort":true}"#);
    let put = [
        "image",
        "insert",
        &disk.name(),
        old.to_str().unwrap(),
        "config.json",
    ];
    workstation.os(&put).await.success();
    let configured = workstation
        .os(&["configure", &disk.name(), "--hostname", "kitchen"])
        .await;
    configured.success();
    let expected = serde_json::json!({"country": "Germany", "vpnPort": true, "deviceType": "board", "hostname": "kitchen"});
    assert_eq!(config(&disk), expected);
    let given = workstation
        .os(&["configure", &disk.name(), "--config", "old.json"])
        .await;
    assert_eq!(given.code, USAGE, "{given}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_whichever_way_it_comes_in() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    let pem = |what: &str| format!("-----BEGIN {what}-----\ngeheim+/\n-----END {what}-----\n");
    let both = pem("CERTIFICATE") + &pem("RSA PRIVATE KEY");
    workstation.write("both.pem", &both);
    workstation.write("key.pem", pem("PRIVATE KEY"));
    workstation.write("none.pem", "geheim");
    workstation.write("key", "geheimnis\n");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, both);
    let given = serde_json::json!({ "balenaRootCA": encoded });
    workstation.write("given.json", given.to_string());
    workstation.write("twice.json", r#"{"a":1,"hostname":"x","a":2}"#);
    workstation.write("home.config", "[connection]\ntype=ethernet\n");
    let before = disk.bytes();
    let private = "holds a private key, which no device may have";
    let both_ways = "--wifi-ssid x --wifi-security peap --wifi-identity me --wifi-key-file key";
    for (rest, words) in [
        (
            "configure IMAGE --root-ca both.pem".to_owned(),
            "--root-ca both.pem holds a private key",
        ),
        (
            "configure IMAGE --root-ca key.pem".to_owned(),
            "--root-ca key.pem holds a private key",
        ),
        (
            "configure IMAGE --root-ca none.pem".to_owned(),
            "--root-ca none.pem holds no certificate",
        ),
        (
            format!("configure IMAGE {both_ways} --wifi-ca both.pem"),
            "--wifi-ca both.pem holds a private key",
        ),
        (
            format!("config write balenaRootCA {encoded} -d IMAGE"),
            private,
        ),
        ("config inject given.json -d IMAGE".to_owned(), private),
        ("configure IMAGE --config given.json".to_owned(), private),
        (
            "config inject twice.json -d IMAGE".to_owned(),
            "the key `a` twice",
        ),
        (
            "configure IMAGE --ssh-key key.pem".to_owned(),
            "ssh-keygen -y -f key.pem",
        ),
        ("configure IMAGE --country d1".to_owned(), "two letters"),
        (
            "configure IMAGE --system-connection home.config".to_owned(),
            "call it home.config.nmconnection",
        ),
        (
            "configure IMAGE --ethernet-address 192.168.1.5/+24".to_owned(),
            "192.168.1.5/24",
        ),
        (
            "configure IMAGE --ethernet-address 192.168.1.0/24".to_owned(),
            "that of its network",
        ),
        (
            format!(
                "configure IMAGE {both_ways} --wifi-any-server --wifi-certificate none.pem --wifi-private-key key.pem"
            ),
            "no certificate of the device",
        ),
        (
            "configure IMAGE --wifi-ssid x --wifi-identity me".to_owned(),
            "--wifi-security says by which",
        ),
    ] {
        let rest = rest.replace("IMAGE", &image);
        let words_of: Vec<&str> = rest.split(' ').collect();
        let refused = workstation.os(&words_of).await;
        assert_eq!(refused.code, USAGE, "{rest}: {refused}");
        assert!(refused.stderr.contains(words), "{rest}: {refused}");
        assert!(!refused.stderr.contains("geheim"), "{rest}: {refused}");
        assert!(disk.bytes() == before, "{rest}");
    }
}

#[tokio::test]
async fn an_open_network_has_nothing_that_a_closed_one_has() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    workstation.write("file", "geheimnis\n");
    let before = disk.bytes();
    for (open, rest, lacks, options, how) in [
        (
            "open",
            "--wifi-key-file file",
            "password",
            "--wifi-key-file",
            "wpa2 or wpa3",
        ),
        (
            "none",
            "--wifi-identity me --wifi-certificate file --wifi-private-key file",
            "name for the device",
            "--wifi-identity, --wifi-certificate and --wifi-private-key",
            "tls",
        ),
        (
            "open",
            "--wifi-identity me --wifi-ca file --wifi-key-file file",
            "name for the device",
            "--wifi-identity, --wifi-ca and --wifi-key-file",
            "peap, ttls or tls",
        ),
        (
            "open",
            "--wifi-identity me",
            "name for the device",
            "--wifi-identity",
            "peap, ttls or tls",
        ),
    ] {
        let network = format!("configure {image} --wifi-ssid x --wifi-security {open} {rest}");
        let network: Vec<&str> = network.split(' ').collect();
        let refused = workstation.os(&network).await;
        assert_eq!(refused.code, USAGE, "{rest}: {refused}");
        for words in [
            format!("that is open has no {lacks}"),
            format!("leave {options} out, or say by --wifi-security how it is closed: {how}\n"),
        ] {
            assert!(refused.stderr.contains(&words), "{rest}: {refused}");
        }
        assert!(disk.bytes() == before, "{rest}");
    }
    let open = ["--wifi-ssid", "x", "--wifi-security", "none"];
    let made = workstation
        .os(&[&["configure", &image][..], &open].concat())
        .await;
    made.success();
    let file = &disk.files()["system-connections/os-wifi-x.nmconnection"];
    assert!(!String::from_utf8_lossy(file).contains("wifi-security"));
}

#[tokio::test]
async fn numbers_of_others_and_secrets_of_others_are_theirs() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    let given = r#"{"a":1.10,"b":1E400,"os":{"network":{"wifi":{"psk":"geheim1"}}},"proxy":"https://me:geheim2@x/"}"#;
    workstation.write("given.json", given);
    workstation
        .os(&["config", "inject", "given.json", "-d", &image])
        .await
        .success();
    workstation
        .os(&["config", "write", "hostname", "x", "-d", &image])
        .await
        .success();
    let expected = given
        .replace("\"}", "\",\"hostname\":\"x\"}")
        .replace("geheim1\",\"hostname\":\"x\"}", "geheim1\"}");
    let written = disk.files().remove("config.json").unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), expected);
    for json in [
        &["image", "inspect", &image][..],
        &["image", "inspect", &image, "--json"],
    ] {
        let shown = workstation.os(json).await;
        assert!(!shown.stdout.contains("geheim"), "{shown}");
    }
    for key in ["os", "os.network.wifi.psk", "proxy"] {
        let words = ["config", "read", key, "-d", &image];
        let shown = workstation.start_in_terminal(&words).output().await;
        assert!(!shown.stdout.contains("geheim"), "{key}: {shown}");
        let piped = workstation.os(&words).await;
        assert!(piped.stdout.contains("geheim"), "{key}: {piped}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_is_asked_for_again() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let mut asked = workstation.start_in_terminal(&["configure", &disk.name()]);
    for (shows, press) in [
        ("Host name", "two words\r"),
        (
            "wants letters",
            "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7fkitchen\r",
        ),
        ("Development mode?", "n"),
        ("Network?", "\x1b[B\r"),
        ("Name of the Wi-Fi", "Home\r"),
        ("hide its name", "n"),
        ("Password of Home", "short\r"),
        ("has 8 to 63", "geheim123\r"),
        ("More settings?", "y"),
        ("Keep logs", "y"),
        ("Servers of the time", "time.example\r"),
        ("servers of names", "1.1.1.1\r"),
        ("Country", "de\r"),
        ("Fixed address", "192.168.1.5/24\r"),
        ("Gateway", "192.168.1.1\r"),
        ("APN", "internet\r"),
    ] {
        asked.shows(shows).await;
        if shows.contains("Password") || shows.contains("has 8 to 63") {
            asked.hides().await;
        }
        asked.press(press);
    }
    let output = asked.output().await;
    output.success();
    assert!(!output.stdout.contains("geheim"), "{output}");
    let expected = serde_json::json!({
        "deviceType": "board", "hostname": "kitchen", "developmentMode": false, "persistentLogging": true, "ntpServers": "time.example",
        "dnsServers": "1.1.1.1", "country": "DE",
    });
    assert_eq!(config(&disk), expected);
    let files = disk.files();
    let text = |name: &str| {
        let found = &files[&format!("system-connections/{name}.nmconnection")];
        String::from_utf8(found.clone()).unwrap()
    };
    assert!(text("os-ethernet").contains("address1=192.168.1.5/24,192.168.1.1"));
    assert!(text("os-cellular").contains("apn=internet"));

    // Nobody answers questions of an image that is none.
    let missing = workstation
        .start_in_terminal(&["configure", "missing.img"])
        .output()
        .await;
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.stdout.contains("is not there"), "{missing}");
    assert!(!missing.stdout.contains("Host name"), "{missing}");
}
