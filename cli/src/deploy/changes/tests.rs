use super::*;

fn state(name: &str, container: Option<&str>) -> ServiceState {
    ServiceState {
        name: name.to_owned(),
        container: container.map(str::to_owned),
        status: "Running".to_owned(),
        because: Some("image changed".to_owned()),
        ..ServiceState::default()
    }
}

#[test]
fn containers_tell_what_happened() {
    let services = ["new", "changed", "same", "absent"].map(str::to_owned);
    let before = [
        state("changed", Some("1")),
        state("same", Some("2")),
        state("old", Some("3")),
        state("never", None),
    ];
    let after = [
        state("new", Some("9")),
        state("changed", Some("8")),
        state("same", Some("2")),
        state("absent", None),
    ];
    let (outcomes, gone) = compare(&services, &before, &after);
    let changes: Vec<_> = outcomes.into_iter().map(|outcome| outcome.change).collect();
    assert_eq!(
        changes,
        [
            Change::Created,
            Change::Recreated {
                because: Some("image changed".to_owned())
            },
            Change::Kept,
            Change::Missing,
        ]
    );
    assert_eq!(gone, ["old"]);
}

#[test]
fn ports_of_both_kinds_are_read() {
    let device: IpAddr = "192.168.1.5".parse().unwrap();
    let url = |port: Option<Port>| port.and_then(|port| port.url(Some(device)));
    for (text, expected) in [
        ("127.71.0.1:8080->80/tcp", Some("http://127.71.0.1:8080")),
        ("0.0.0.0:8080->80/tcp", Some("http://192.168.1.5:8080")),
        ("[::]:53->53/udp", Some("udp://192.168.1.5:53")),
        ("[fd00::1]:80->80/tcp", Some("http://[fd00::1]")),
        ("80/tcp", None),
        ("x:80->80/tcp", None),
    ] {
        assert_eq!(url(Port::parse_report(text)).as_deref(), expected, "{text}");
    }
    for (text, expected) in [
        ("8081:8080", Some("http://192.168.1.5:8081")),
        ("127.0.0.1:81:80", Some("http://127.0.0.1:81")),
        ("0.0.0.0:81:80/tcp", Some("http://192.168.1.5:81")),
        ("[::1]:81:80", Some("http://[::1]:81")),
        ("53:53/udp", Some("udp://192.168.1.5:53")),
        ("80", None),
        ("8000-8001:80-81", None),
        ("0:80", None),
        ("", None),
    ] {
        assert_eq!(
            url(Port::parse_compose(text)).as_deref(),
            expected,
            "{text}"
        );
    }
}
