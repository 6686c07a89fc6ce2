//! `os configure`: flags, files, questions.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::{Workstation, programs::built};

use crate::{
    USAGE,
    disks::{Disk, Layout, SYSTEMS},
};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIETS2V0TL9cqQEC1WeRv7y77NC4Cq947eAE5gbn8D0JR me@here\n";

fn config(disk: &Disk) -> Value {
    serde_json::from_slice(&disk.files()["config.json"]).unwrap()
}

const FLAGS: &str = "--hostname kitchen --dev --ssh-key id.pub --persistent-logging --dns 1.1.1.1 --dns 9.9.9.9 --ntp ntp.example.com \
                     --country de --root-ca ca.pem --splash splash.png --wifi-ssid Küche --wifi-hidden --wifi-key-file key \
                     --ethernet-interface eth0 --ethernet-vlan 10 --ethernet-address 192.168.1.5/24 --ethernet-gateway 192.168.1.1 \
                     --cellular-apn internet --system-connection home.nmconnection";

/// Files of the networks of [`FLAGS`]: each has one of its own.
const WIFI: &str = "system-connections/os-wifi-K__che-a9ec872e.nmconnection";
const WIRED: &str = "system-connections/os-ethernet-eth0_10-6476b575.nmconnection";

/// A connection as `NetworkManager` reads it.
fn network_manager(connection: &[u8]) -> String {
    let mut nmcli = Command::new("nmcli")
        .args([
            "--offline",
            "connection",
            "modify",
            "connection.autoconnect",
            "yes",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("nmcli");
    nmcli.stdin.take().unwrap().write_all(connection).unwrap();
    let output = nmcli.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn flags_become_what_the_device_is_and_the_same_again_changes_nothing() {
    let mut workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Gpt, SYSTEMS[1]);
    let image = disk.name();
    workstation.write("id.pub", KEY);
    workstation.write("key", "correct horse; battery\n");
    workstation.write("splash.png", b"\x89PNG\r\n\x1a\nrest");
    workstation.write(
        "home.nmconnection",
        "[connection]\nid=home\ntype=ethernet\n",
    );
    workstation.write(
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    workstation.set("OSCLI_CELLULAR_PIN", "0123");
    let arguments: Vec<&str> = ["configure", &image]
        .into_iter()
        .chain(FLAGS.split(' '))
        .collect();
    let before = disk.bytes();
    workstation.os(&arguments).await.success();
    let paths = [
        "config.json",
        "splash/balena-logo.png",
        "system-connections/home.nmconnection",
        WIFI,
        WIRED,
        "system-connections/os-cellular.nmconnection",
    ];
    disk.is_edited(&before, &paths);
    let expected = serde_json::json!({
        "deviceType": "board", "developmentMode": true, "hostname": "kitchen", "persistentLogging": true, "dnsServers": "1.1.1.1 9.9.9.9",
        "ntpServers": "ntp.example.com", "country": "DE",
        "balenaRootCA": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=",
        "os": { "sshKeys": [KEY.trim_end()] },
    });
    assert_eq!(config(&disk), expected);
    are_networks(&disk);

    let before = disk.bytes();
    let again = workstation.os(&arguments).await;
    again.success();
    assert!(again.stderr.contains("nothing changed"), "{again}");
    assert!(disk.bytes() == before);

    // What nothing is said of stays, and JSON tells what was done.
    let off = workstation
        .os(&["configure", &image, "--dev=false", "--json"])
        .await;
    off.success();
    let told: Value = serde_json::from_str(&off.stdout).unwrap();
    let file = serde_json::json!([{"path": "config.json", "done": "changed"}]);
    assert_eq!(told["files"], file);
    assert_eq!(config(&disk)["developmentMode"], false);
    assert_eq!(config(&disk)["hostname"], "kitchen");
}

/// The networks of [`FLAGS`].
fn are_networks(disk: &Disk) {
    let files = disk.files();
    let has = |name: &str, lines: &[&str]| {
        let read = network_manager(&files[name]);
        for line in lines {
            assert!(read.lines().any(|found| found == *line), "{line}: {read}");
        }
        assert!(!read.contains("horse"), "{read}");
    };
    has(
        WIFI,
        &[
            "hidden=true",
            "ssid=75;195;188;99;104;101;",
            "key-mgmt=wpa-psk",
        ],
    );
    let wired = [
        "type=vlan",
        "interface-name=eth0.10",
        "parent=eth0",
        "id=10",
        "address1=192.168.1.5/24,192.168.1.1",
        "method=manual",
    ];
    has(WIRED, &wired);
    has(
        "system-connections/os-cellular.nmconnection",
        &["apn=internet", "pin=0123"],
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_the_image_is_touched() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    workstation.write(
        "id",
        "-----BEGIN OPENSSH PRIVATE KEY-----\ngeheim\n-----END OPENSSH PRIVATE KEY-----\n",
    );
    workstation.write("short", "geheim\n");
    workstation.write("long", "geheimnis\n");
    workstation.write("bad.nmconnection", "[connection]\npsk geheim\n");
    workstation.write("other.json", r#"{"deviceType":"other-board"}"#);
    workstation.write("broken.json", r#"{"apiKey":geheim"#);
    workstation.write("splash.png", "GIF89a");
    let before = disk.bytes();
    for (rest, words) in [
        (&["--hostname", "two words"][..], "`hostname` wants letters"),
        (&["--country", "Germany"], "two letters"),
        (&["--dns", "one.one.one.one"], "`dnsServers` wants"),
        (&["--dns", "none", "--dns", "1.1.1.1"], "`dnsServers` wants"),
        (
            &[
                "--wifi-ssid",
                "x",
                "--wifi-security",
                "peap",
                "--wifi-identity",
                "me",
                "--wifi-key-file",
                "long",
            ],
            "--wifi-ca FILE",
        ),
        (&["--ssh-key", "id"], "private key"),
        (&["--wifi-ssid", "x", "--wifi-key-file", "short"], "8 to 63"),
        (
            &["--wifi-ssid", "x"],
            "--wifi-key-file FILE or OSCLI_WIFI_KEY",
        ),
        (
            &["--system-connection", "bad.nmconnection"],
            "line 2 is neither",
        ),
        (&["--config", "other.json"], "for a other-board"),
        (
            &["--config", "broken.json"],
            "broken.json is no JSON object",
        ),
        (&["--splash", "splash.png"], "PNG"),
        (&["--ethernet-address", "192.168.1.5"], "192.168.1.5/24"),
        (&["--ethernet-vlan", "10"], "--ethernet-interface"),
        (
            &["--ethernet-interface", "eth0", "--ethernet-vlan", "4095"],
            "not in 1..=4094",
        ),
        (
            &["--ethernet-address", "127.0.0.1/8"],
            "the address 127.0.0.1/8 is none",
        ),
        (&[], "nothing is said"),
    ] {
        let refused = workstation
            .os(&[&["configure", &image], rest].concat())
            .await;
        assert_eq!(refused.code, USAGE, "{rest:?}: {refused}");
        assert!(refused.stderr.contains(words), "{rest:?}: {refused}");
        assert!(!refused.stderr.contains("geheim"), "{rest:?}: {refused}");
        assert!(disk.bytes() == before, "{rest:?}");
    }
}

#[tokio::test]
async fn a_person_who_says_nothing_is_asked() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    workstation.write(".ssh/id_ed25519.pub", KEY);
    let mut asked = workstation.start_in_terminal(&["configure", &image]);
    asked.shows("Host name").await;
    asked.press("kitchen\r");
    asked.shows("Development mode?").await;
    asked.press("y");
    asked.shows("Who may log in").await;
    asked.press("\r");
    asked.shows("Network?").await;
    asked.press("\x1b[B\r");
    asked.shows("Name of the Wi-Fi").await;
    asked.press("Home\r");
    asked.shows("hide its name").await;
    asked.press("n");
    asked.shows("Password of Home").await;
    asked.hides().await;
    asked.press("geheim123\r");
    asked.shows("More settings?").await;
    asked.press("n");
    let output = asked.output().await;
    output.success();
    assert!(!output.stdout.contains("geheim"), "{output}");
    assert_eq!(config(&disk)["hostname"], "kitchen");
    assert_eq!(config(&disk)["developmentMode"], true);
    assert_eq!(config(&disk)["os"]["sshKeys"][0], KEY.trim_end());
    let wifi =
        network_manager(&disk.files()["system-connections/os-wifi-Home-3a786953.nmconnection"]);
    assert!(
        wifi.contains("ssid=Home") && !wifi.contains("geheim"),
        "{wifi}"
    );

    let before = disk.bytes();
    let mut stopped = workstation.start_in_terminal(&["configure", &image]);
    stopped.shows("Host name").await;
    stopped.press("\x03");
    let output = stopped.output().await;
    assert_eq!(output.code, 130, "{output}");
    assert!(disk.bytes() == before);
}

#[tokio::test]
async fn a_network_that_asks_for_a_name_is_the_same_by_questions_as_by_options() {
    let workstation = Workstation::new(None);
    let (asked_of, told) = (
        Disk::new(Layout::Mbr, SYSTEMS[1]),
        Disk::new(Layout::Mbr, SYSTEMS[1]),
    );
    workstation.write("password", "geheim123\n");
    let mut options = vec!["configure", "DISK", "--wifi-ssid", "Office"];
    options.extend(["--wifi-security", "ttls", "--wifi-identity", "ann"]);
    options.extend(["--wifi-anonymous-identity", "nobody"]);
    options.extend(["--wifi-domain", "radius.example"]);
    options.extend(["--wifi-key-file", "password"]);
    let name = told.name();
    options[1] = &name;
    workstation.os(&options).await.success();

    let begin = async |disk: &Disk| {
        let mut asked = workstation.start_in_terminal(&["configure", &disk.name()]);
        for (shows, press) in [
            ("Host name", "\r"),
            ("Development mode?", "n"),
            ("Network?", "\x1b[B\x1b[B\r"),
            ("Name of the Wi-Fi", "Office\r"),
            ("hide its name", "n"),
            ("Name for Office", "ann\r"),
            ("those who listen", "nobody\r"),
            ("By which protocol?", "\x1b[B\r"),
            ("Password of Office", "geheim123\r"),
            ("File with the certificates", "\r"),
        ] {
            asked.shows(shows).await;
            if shows.contains("Password") || shows.contains("has 8 to 63") {
                asked.hides().await;
            }
            asked.press(press);
        }
        asked.shows("End of the name").await;
        asked
    };
    let mut asked = begin(&asked_of).await;
    asked.press("radius.example\r");
    asked.shows("More settings?").await;
    asked.press("n");
    let output = asked.output().await;
    output.success();
    assert!(!output.stdout.contains("geheim"), "{output}");
    let files = |disk: &Disk| -> Vec<(String, Vec<u8>)> {
        let files = disk.files().into_iter();
        let own = files.filter(|(path, _)| path.contains("os-wifi-Office"));
        own.collect()
    };
    assert_eq!(files(&told).len(), 1);
    assert_eq!(files(&asked_of), files(&told));

    // Nobody who has not said so believes anybody.
    let before = asked_of.bytes();
    let mut asked = begin(&asked_of).await;
    asked.press("\r");
    asked.shows("Take any network").await;
    asked.press("n");
    let output = asked.output().await;
    assert_eq!(output.code, USAGE, "{output}");
    assert!(output.stdout.contains("--wifi-ca"), "{output}");
    assert!(asked_of.bytes() == before);
}

#[tokio::test]
async fn a_list_of_keys_with_nobody_in_it_is_told() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    workstation.write("given.json", r#"{"os":{"sshKeys":[]}}"#);
    let words = "`os.sshKeys` is an empty list";
    for verb in [
        &["configure", &image, "--config", "given.json"][..],
        &["configure", &image, "--hostname", "kitchen"],
        &["config", "inject", "given.json", "-d", &image],
        &["config", "write", "os.sshKeys", "[]", "-d", &image],
        &[
            "config",
            "generate",
            "--device-type",
            "board",
            "--config",
            "given.json",
        ],
    ] {
        let told = workstation.os(verb).await;
        told.success();
        assert!(told.stderr.contains(words), "{verb:?}: {told}");
    }
    for value in ["false", KEY.trim_end()] {
        let told = workstation
            .os(&["config", "write", "os.sshKeys", value, "-d", &image])
            .await;
        told.success();
        assert!(!told.stderr.contains(words), "{told}");
    }
}

/// Whoever ends it while a password is typed has a terminal that shows what is typed.
#[tokio::test]
async fn a_terminal_is_as_before_when_a_question_is_ended_from_elsewhere() {
    let mut workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    workstation.set("OS", built("os").to_str().expect("a path"));
    let script = format!(
        "\"$OS\" configure {} --wifi-ssid Home; echo \"code $?\"; stty -a | grep -ow -- '-\\?\\(echo\\|icanon\\)'; echo end",
        disk.name()
    );
    let running = workstation.start_program_in_terminal(&["bash", "-c", &script]);
    running.shows("Password of Home").await;
    workstation.end_at_question("-echo").await;
    running.shows("end").await;
    let output = running.output().await;
    assert!(
        !output.stdout.contains("-echo") && !output.stdout.contains("-icanon"),
        "{output}"
    );
}

#[tokio::test]
async fn an_image_that_is_being_changed_is_left_alone() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let held = fs_err::File::open(disk.path()).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let refused = workstation.os(&["configure", &disk.name(), "--dev"]).await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("is in use"), "{refused}");
    drop(held);
    workstation
        .os(&["configure", &disk.name(), "--dev"])
        .await
        .success();
}
