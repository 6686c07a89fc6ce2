//! Networks of one kind and another, and the words for differences. Containers are compared in `plan/tests`.

use super::{because, network};
use crate::model::{IpamPool, NetworkSpec, labels};

fn pool(subnet: &str, gateway: Option<&str>) -> IpamPool {
    IpamPool {
        subnet: Some(subnet.to_owned()),
        gateway: gateway.map(str::to_owned),
        ..IpamPool::default()
    }
}

/// What an engine answers for a network without any wishes.
fn plain() -> NetworkSpec {
    NetworkSpec {
        driver: Some("bridge".to_owned()),
        ipam_driver: Some("default".to_owned()),
        ipam_pools: vec![pool("172.18.0.0/16", Some("172.18.0.1"))],
        driver_opts: [(
            "com.docker.network.enable_ipv4".to_owned(),
            "true".to_owned(),
        )]
        .into(),
        labels: [
            (labels::SUPERVISED.to_owned(), "true".to_owned()),
            (labels::APP_ID.to_owned(), "1".to_owned()),
        ]
        .into(),
        ..NetworkSpec::default()
    }
}

#[test]
fn what_the_engine_fills_in_is_no_difference() {
    assert!(network(&plain(), &NetworkSpec::default()).is_empty());
    let wish = NetworkSpec {
        ipam_pools: vec![pool("172.18.0.0/16", None)],
        ..NetworkSpec::default()
    };
    assert!(network(&plain(), &wish).is_empty());
}

#[test]
fn what_was_asked_for_is_compared() {
    let other_pool = NetworkSpec {
        ipam_pools: vec![pool("10.0.0.0/8", None)],
        ..NetworkSpec::default()
    };
    assert_eq!(network(&plain(), &other_pool), ["ipam.config"]);
    let option = NetworkSpec {
        driver_opts: [("mtu".to_owned(), "1400".to_owned())].into(),
        ..NetworkSpec::default()
    };
    assert_eq!(network(&plain(), &option), ["driver_opts"]);
    assert_eq!(network(&option, &plain()), ["driver_opts", "ipam.config"]);
    let config_only = NetworkSpec {
        config_only: true,
        ..NetworkSpec::default()
    };
    assert_eq!(network(&plain(), &config_only), ["config_only"]);
    let label = NetworkSpec {
        labels: [("mine".to_owned(), "x".to_owned())].into(),
        ..NetworkSpec::default()
    };
    assert_eq!(network(&plain(), &label), ["labels"]);
}

#[test]
fn addresses_that_are_not_asked_for_any_more_are_given_up() {
    let mut asked = plain();
    let label = (labels::IPAM_CONFIG.to_owned(), "true".to_owned());
    asked.labels.extend([label]);
    assert_eq!(network(&asked, &NetworkSpec::default()), ["ipam.config"]);
}

#[test]
fn many_differences_are_counted() {
    let names = |n: u8| (0..n).map(|i| format!("env.V{i}")).collect::<Vec<_>>();
    assert_eq!(because(&names(2)), "env.V0, env.V1 changed");
    assert!(because(&names(10)).ends_with("env.V7 and 2 more changed"));
}
