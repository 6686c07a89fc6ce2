//! `os scan` as a person and a script see it.

use testkit::Workstation;

use super::*;

#[tokio::test]
async fn devices_are_shown_as_columns() {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    let machine = Namespace::new();
    lan.join(&machine);
    let _announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    scanned_until(&workstation.machine, workstation.machine.dir(), 1);
    let output = workstation.os(&["scan"]).await;
    output.success();
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let facts = [
        "lamp",
        "0a00001",
        "raspberrypi4-64",
        "os",
        "1.0.0",
        "development",
        "0.1.0",
        "push,logs",
        "new",
    ];
    let shown = words(&output.stdout);
    assert_eq!(shown[..9], facts);
    assert!(shown[9..].contains(&"10.88.7.2".to_owned()), "{output}");
    assert_eq!(output.stdout.lines().count(), 1, "{output}");
    assert!(output.stderr.starts_with("NAME "), "{output}");

    let quiet = workstation.os(&["detect", "--quiet"]).await;
    quiet.success();
    assert_eq!(words(&quiet.stdout)[..9], facts);
    assert_eq!(quiet.stderr, "");
}

#[tokio::test]
async fn the_variant_of_a_reference_device_is_learnt_from_its_engine() {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    let machine = Namespace::new();
    let address = lan.join(&machine);
    let _avahi = avahi::avahi(&machine, "peer-device").await;
    let production = workstation.os(&["scan"]).await;
    assert!(production.stdout.contains("production"), "{production}");
    let _engine = machine.listen((address.v4, 2375).into()).unwrap();
    let output = workstation.os(&["scan"]).await;
    output.success();
    let words: Vec<&str> = output.stdout.split_whitespace().collect();
    assert_eq!(
        words[..9],
        [
            "peer-device",
            "-",
            "-",
            "-",
            "development",
            "reference",
            "push,logs",
            "new",
            "10.88.7.2"
        ]
    );

    let output = workstation.os(&["scan", "--json"]).await;
    output.success();
    let lines: Vec<serde_json::Value> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["event"], &lines[0]["name"]),
        (&"found".into(), &"peer-device".into())
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["variant"], &last["ssh_port"]),
        (&"reference".into(), &"development".into(), &22222.into())
    );
}

#[tokio::test]
async fn no_device_is_no_error_and_says_what_to_try() {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    let output = workstation.os(&["scan"]).await;
    output.success();
    assert_eq!(output.stdout, "");
    assert!(
        output.stderr.contains("no device answered") && output.stderr.contains("os simulate"),
        "{output}"
    );
    let json = workstation.os(&["scan", "--json"]).await;
    assert_eq!((json.code, json.stdout.as_str()), (0, ""));
}

#[tokio::test]
async fn a_machine_without_a_network_looks_at_itself() {
    let workstation = Workstation::new(None);
    let ip = IpAddr::V4(Ipv4Addr::new(127, 71, 9, 1));
    let _announcer = Announcer::start(
        &workstation.machine,
        config("sim", &uuid(1), Scope::Loopback(ip)),
    );
    testkit::until("the device is found", async || {
        let output = workstation.os(&["scan"]).await;
        output.success();
        output.stdout.contains("127.71.9.1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_of_no_use_is_told_and_kept() {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    let file = workstation.write(".local/state/os/devices.json", "{ not json");
    let output = workstation.os(&["scan"]).await;
    output.success();
    assert!(
        output.stderr.contains("warning:") && output.stderr.contains("devices.json.unreadable"),
        "{output}"
    );
    let aside = file.with_file_name("devices.json.unreadable");
    assert_eq!(fs_err::read_to_string(aside).unwrap(), "{ not json");
}

#[tokio::test]
async fn a_watch_shows_changes_until_it_is_interrupted() {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    let machine = Namespace::new();
    lan.join(&machine);
    let mut watch = workstation.start_in_terminal(&["scan", "--watch"]);
    let announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    watch.shows("+ ").await;
    drop(announcer);
    watch.shows("- lamp").await;
    watch.press("\u{3}");
    watch.output().await.success();
}
