//! The rules, and how each program is told of them.

use serde_json::{Map, json};

use super::decide::{Mode, Packets, Rule, Situation, Verdict, no_mode, rules};
use super::written::{Family, ours, restore, ruleset};
use crate::model::Target;

/// With a service in the machine's own network.
fn situation(is_local: bool, mode: Mode) -> Situation {
    Situation {
        ports: vec![48484],
        is_local,
        mode,
        has_host_network: true,
    }
}

/// What becomes of what no other rule is about.
fn rest(situation: &Situation) -> Verdict {
    let rules = rules(situation);
    let Rule(packets, verdict) = rules.last().unwrap();
    assert_eq!(*packets, Packets::Any);
    *verdict
}

#[test]
fn the_mode_shuts_all_that_is_left() {
    for is_local in [false, true] {
        for (mode, has_host_network, verdict) in [
            (Mode::Off, false, Verdict::Return),
            (Mode::Off, true, Verdict::Return),
            (Mode::On, false, Verdict::Reject),
            (Mode::On, true, Verdict::Reject),
            (Mode::Auto, false, Verdict::Return),
            (Mode::Auto, true, Verdict::Reject),
        ] {
            let situation = Situation {
                has_host_network,
                ..situation(is_local, mode)
            };
            assert_eq!(rest(&situation), verdict, "{situation:?}");
        }
    }
}

#[test]
fn management_ports_are_open_whatever_the_rest() {
    for is_local in [false, true] {
        for mode in [Mode::Off, Mode::On, Mode::Auto] {
            let rules = rules(&situation(is_local, mode));
            for port in [22222, 2375] {
                let open = Rule(Packets::Tcp(port, None), Verdict::Accept);
                let first = rules.iter().position(|rule| *rule == open).unwrap();
                let refused = rules
                    .iter()
                    .position(|rule| *rule == Rule(Packets::AnyTcp, Verdict::Reject));
                assert!(refused.is_none_or(|at| first < at));
            }
        }
    }
}

#[test]
fn a_target_is_read_as_the_reference_reads_it() {
    let target = |mode: Option<&str>, network: &str| {
        let service = json!({"imageId": 1, "serviceName": "a", "image": "a", "environment": {}, "labels": {}, "network_mode": network});
        let config: Map<_, _> = mode
            .map(|mode| ("HOST_FIREWALL_MODE".to_owned(), json!(mode)))
            .into_iter()
            .collect();
        let local = json!({"config": config, "apps": {"1": {"name": "a", "commit": "c", "releaseId": 1, "services": {"1": service}}}});
        crate::target::parse(&serde_json::from_value(local).unwrap(), "a").unwrap()
    };
    let listen = ["[::]:48484", "127.0.0.1:48484", "[::1]:0", "127.0.0.1:1"]
        .map(|text| text.parse().unwrap());
    let read = |target: &Target| Situation::new(&listen, Some(target), false);
    for (word, mode) in [
        (None, Mode::Off),
        (Some(""), Mode::Off),
        (Some("off"), Mode::Off),
        (Some("on"), Mode::On),
        (Some("auto"), Mode::Auto),
        (Some("ON"), Mode::Off),
        (Some("true"), Mode::Off),
    ] {
        let target = target(word, "bridge");
        let situation = read(&target);
        assert_eq!(situation.mode, mode, "{word:?}");
        assert!(!situation.has_host_network);
        let is_told = matches!(word, Some("ON" | "true"));
        assert_eq!(no_mode(Some(&target)).is_some(), is_told, "{word:?}");
    }
    let situation = read(&target(Some("auto"), "host"));
    assert!(situation.has_host_network);
    assert_eq!(situation.ports, [1, 48484]);
    // Before the first target nothing is known.
    assert_eq!(Situation::new(&listen, None, true).mode, Mode::Off);
}

#[test]
fn iptables_is_told_in_the_references_order() {
    let rules = rules(&situation(false, Mode::Off));
    insta::assert_snapshot!(restore(&rules, Family::V4, &ours("")), @"
    *filter
    :BALENA-FIREWALL - [0:0]
    -A BALENA-FIREWALL -m addrtype --src-type LOCAL -j ACCEPT
    -A BALENA-FIREWALL -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    -A BALENA-FIREWALL -i resin-vpn -p tcp -m tcp --dport 48484 -j ACCEPT
    -A BALENA-FIREWALL -i tun0 -p tcp -m tcp --dport 48484 -j ACCEPT
    -A BALENA-FIREWALL -i docker0 -p tcp -m tcp --dport 48484 -j ACCEPT
    -A BALENA-FIREWALL -i lo -p tcp -m tcp --dport 48484 -j ACCEPT
    -A BALENA-FIREWALL -i supervisor0 -p tcp -m tcp --dport 48484 -j ACCEPT
    -A BALENA-FIREWALL -p tcp -m tcp --dport 48484 -j REJECT --reject-with tcp-reset
    -A BALENA-FIREWALL -p tcp -m tcp --dport 22222 -j ACCEPT
    -A BALENA-FIREWALL -p tcp -m tcp --dport 2375 -j ACCEPT
    -A BALENA-FIREWALL -m addrtype --dst-type MULTICAST -j ACCEPT
    -A BALENA-FIREWALL -p icmp -j ACCEPT
    -A BALENA-FIREWALL -i balena0 -p udp -m udp --dport 53 -j ACCEPT
    -A BALENA-FIREWALL -i br+ -p udp -m udp --dport 53 -j ACCEPT
    -A BALENA-FIREWALL -j RETURN
    -I INPUT 1 -j BALENA-FIREWALL
    COMMIT
    ");
}

#[test]
fn ip6tables_is_told_of_a_shut_device() {
    let rules = rules(&situation(true, Mode::On));
    insta::assert_snapshot!(restore(&rules, Family::V6, &ours("")), @"
    *filter
    :BALENA-FIREWALL - [0:0]
    -A BALENA-FIREWALL -m addrtype --src-type LOCAL -j ACCEPT
    -A BALENA-FIREWALL -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
    -A BALENA-FIREWALL -p tcp -m tcp --dport 48484 -j ACCEPT
    -A BALENA-FIREWALL -p tcp -m tcp --dport 48484 -j REJECT
    -A BALENA-FIREWALL -p tcp -m tcp --dport 22222 -j ACCEPT
    -A BALENA-FIREWALL -p tcp -m tcp --dport 2375 -j ACCEPT
    -A BALENA-FIREWALL -m addrtype --dst-type MULTICAST -j ACCEPT
    -A BALENA-FIREWALL -p ipv6-icmp -j ACCEPT
    -A BALENA-FIREWALL -i balena0 -p udp -m udp --dport 53 -j ACCEPT
    -A BALENA-FIREWALL -i br+ -p udp -m udp --dport 53 -j ACCEPT
    -A BALENA-FIREWALL -s fe80::/10 -p udp -m udp --sport 547 --dport 546 -j ACCEPT
    -A BALENA-FIREWALL -p tcp -j REJECT
    -A BALENA-FIREWALL -j REJECT
    -I INPUT 1 -j BALENA-FIREWALL
    COMMIT
    ");
}

#[test]
fn nft_is_told_the_same() {
    let rules = rules(&situation(false, Mode::On));
    insta::assert_snapshot!(ruleset(&rules, Family::V6), @r#"
    add table ip6 os-agent
    delete table ip6 os-agent
    add table ip6 os-agent
    add chain ip6 os-agent BALENA-FIREWALL
    add rule ip6 os-agent BALENA-FIREWALL fib saddr type local accept
    add rule ip6 os-agent BALENA-FIREWALL ct state established,related accept
    add rule ip6 os-agent BALENA-FIREWALL iifname "resin-vpn" tcp dport 48484 accept
    add rule ip6 os-agent BALENA-FIREWALL iifname "tun0" tcp dport 48484 accept
    add rule ip6 os-agent BALENA-FIREWALL iifname "docker0" tcp dport 48484 accept
    add rule ip6 os-agent BALENA-FIREWALL iifname "lo" tcp dport 48484 accept
    add rule ip6 os-agent BALENA-FIREWALL iifname "supervisor0" tcp dport 48484 accept
    add rule ip6 os-agent BALENA-FIREWALL tcp dport 48484 reject
    add rule ip6 os-agent BALENA-FIREWALL tcp dport 22222 accept
    add rule ip6 os-agent BALENA-FIREWALL tcp dport 2375 accept
    add rule ip6 os-agent BALENA-FIREWALL ip6 daddr ff00::/8 accept
    add rule ip6 os-agent BALENA-FIREWALL meta l4proto ipv6-icmp accept
    add rule ip6 os-agent BALENA-FIREWALL iifname "balena0" udp dport 53 accept
    add rule ip6 os-agent BALENA-FIREWALL iifname "br*" udp dport 53 accept
    add rule ip6 os-agent BALENA-FIREWALL ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
    add rule ip6 os-agent BALENA-FIREWALL meta l4proto tcp reject
    add rule ip6 os-agent BALENA-FIREWALL reject
    add chain ip6 os-agent input { type filter hook input priority 0; policy accept; }
    add rule ip6 os-agent input jump BALENA-FIREWALL
    "#);
}

#[test]
fn one_way_leads_into_the_chain() {
    let rules = rules(&situation(true, Mode::Off));
    let saved = |jumps: usize| {
        let jump = "-A INPUT -j BALENA-FIREWALL\n".repeat(jumps);
        format!(
            "*filter\n:INPUT ACCEPT [0:0]\n:BALENA-FIREWALL - [0:0]\n-A INPUT -p tcp -j ACCEPT\n{jump}\
             -A INPUT -i eth0 -j BALENA-FIREWALL\n-A BALENA-FIREWALL -j RETURN\n-A BALENA-FIREWALL-2 -j DROP\nCOMMIT\n"
        )
    };
    let ways = |jumps: usize| {
        let text = restore(&rules, Family::V4, &ours(&saved(jumps)));
        (
            text.matches("-I INPUT").count(),
            text.matches("-D INPUT").count(),
        )
    };
    assert_eq!(ways(0), (1, 0));
    assert_eq!(ways(1), (0, 0), "what stands before it stays before it");
    assert_eq!(ways(3), (0, 2));
    // What others have there is not ours to compare.
    let without = saved(1).replace("-A INPUT -p tcp -j ACCEPT\n", "");
    assert_eq!(ours(&saved(1)), ours(&without));
    assert_ne!(ours(&saved(1)), ours(&saved(0)));
    assert_ne!(ours(&saved(1)), ours(&saved(1).replace("RETURN", "REJECT")));
}
