use proptest::prelude::*;

use super::*;

fn meant(text: &str) -> String {
    match text.parse::<Forward>() {
        Ok(forward) => forward.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_form_of_the_reference_and_ours_is_read() {
    for (text, meaning) in [
        ("22222", "22222:localhost:22222"),
        ("22222:54321", "22222:localhost:54321"),
        ("22222:0.0.0.0", "22222:0.0.0.0:22222"),
        ("22222:0.0.0.0:222", "22222:0.0.0.0:222"),
        ("80:localhost:8080", "80:localhost:8080"),
        ("80:localhost", "80:localhost:80"),
        ("80:0", "80:localhost:0"),
        ("80/tcp", "80:localhost:80"),
        ("80:[::1]:8080", "80:[::1]:8080"),
        ("80:[::]", "80:[::]:80"),
        ("53/udp", "53/udp:localhost:53"),
        ("53/udp:5353", "53/udp:localhost:5353"),
        ("53:5353/udp", "53/udp:localhost:5353"),
        ("53:0.0.0.0/udp", "53/udp:0.0.0.0:53"),
        ("/run/x.sock:8080", "/run/x.sock:localhost:8080"),
        ("/run/x.sock:[::1]:8080", "/run/x.sock:[::1]:8080"),
        ("/run/x.sock:./y.sock", "/run/x.sock:./y.sock"),
        ("8080:/tmp/x.sock", "8080:/tmp/x.sock"),
        ("8080:/tmp/a:b/udp", "8080:/tmp/a:b/udp"),
        ("/udp:80", "/udp:localhost:80"),
    ] {
        assert_eq!(meant(text), meaning, "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_named() {
    for (text, words) in [
        ("", "neither a port"),
        ("x", "neither a port"),
        ("65536", "neither a port"),
        ("+80", "neither a port"),
        ("80x:1", "neither a port"),
        ("80:", "`` is no PORT"),
        ("80:65536", "`65536` is no PORT"),
        ("80:::1:80", "brackets"),
        ("80:[::1", "brackets"),
        ("80:[::1]80", "brackets"),
        ("80:example.org:80", "is no PORT"),
        ("80:127.0.0.1:", "is no PORT"),
        ("/run/x.sock", "needs a place here"),
        ("/run/x.sock:localhost", "must be named"),
        ("/run/:80", "neither a port"),
        ("53/udp:5353/tcp", "is no PORT"),
        ("53/udp:/tmp/x", "no sockets with paths"),
        ("/run/x:53/udp", "no sockets with paths"),
    ] {
        let error = text.parse::<Forward>().unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let long = format!("80:/{}", "x".repeat(LONGEST_PATH));
    assert!(matches!(
        long.parse::<Forward>(),
        Err(FormError::LongPath(_))
    ));
}

#[test]
fn forwards_that_exclude_each_other_are_named() {
    let checked = |texts: &[&str], direction| {
        let forwards: Vec<Forward> = texts.iter().map(|text| text.parse().unwrap()).collect();
        check(&forwards, direction).map_err(|error| error.to_string())
    };
    let (to, from) = (Direction::ToDevice, Direction::FromDevice);
    assert_eq!(checked(&["80:8080", "81:8081", "53:8080/udp"], to), Ok(()));
    assert_eq!(checked(&["80:0", "81:0", "80:1"], to), Ok(()));
    assert_eq!(checked(&["0:80", "0:81", "81:81"], from), Ok(()));
    for (texts, direction, words) in [
        (&["80:8080", "81:localhost:8080"][..], to, "same place"),
        (&["80:/tmp/x", "81:/tmp/x"], to, "same place"),
        (&["80:1", "80:2"], from, "same place"),
        (&["0:80"], to, "may the port be 0"),
        (&["80:0"], from, "may the port be 0"),
        (&["53/udp"], from, "no UDP"),
        (&["80:0"; MOST + 1], to, "65 forwards"),
    ] {
        let error = checked(texts, direction).unwrap_err();
        assert!(error.contains(words), "{texts:?}: {error}");
    }
}

fn forward() -> impl Strategy<Value = Forward> {
    let path = || "/[a-z.]{1,20}(/[a-z.]{1,20}){0,2}";
    let host = prop_oneof![
        Just(Host::Loopback),
        any::<u32>().prop_map(|bits| Host::Address(Ipv4Addr::from(bits).into())),
        any::<u128>().prop_map(|bits| Host::Address(Ipv6Addr::from(bits).into())),
    ];
    let remote = prop_oneof![
        any::<u16>().prop_map(Remote::Port),
        path().prop_map(Remote::Unix)
    ];
    let local = prop_oneof![
        (host, any::<u16>()).prop_map(|(host, port)| Local::Port(host, port)),
        path().prop_map(|path| Local::Unix(path.into())),
    ];
    (remote, local, any::<bool>()).prop_map(|(remote, local, udp)| {
        let has_ports = matches!((&remote, &local), (Remote::Port(_), Local::Port(..)));
        let protocol = if udp && has_ports {
            Protocol::Udp
        } else {
            Protocol::Stream
        };
        Forward {
            remote,
            local,
            protocol,
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_it_was(forward in forward()) {
        prop_assert_eq!(forward.to_string().parse(), Ok(forward));
    }

    #[test]
    fn whatever_is_typed_is_answered(text in "[0-9a-z:/.\\[\\]]{0,40}") {
        if let Ok(forward) = text.parse::<Forward>() {
            prop_assert_eq!(forward.to_string().parse(), Ok(forward));
        }
    }
}
