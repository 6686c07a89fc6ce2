//! Who is dropped and who is refused, and which versions lie in which ranges.

use serde_json::{Value, json};

use super::version::satisfies;
use super::{Verdict, check};
use crate::model::{DeviceFacts, HostFacts};
use crate::plan::tests::{device, target};

fn jetson() -> DeviceFacts {
    DeviceFacts {
        device_type: "jetson-nano".to_owned(),
        arch: "aarch64".to_owned(),
        host: HostFacts {
            os_slug: Some("balena-os".to_owned()),
            os_version: Some("2.88.4+rev1".to_owned()),
            kernel: Some("4.9.140".to_owned()),
            l4t: Some("32.2.0".to_owned()),
            ..HostFacts::default()
        },
        ..device()
    }
}

/// The verdict about one service with these requirements and labels.
fn verdict(device: &DeviceFacts, requires: &Value, labels: &Value) -> Verdict {
    let service = json!({
        "imageId": 1, "serviceName": "web", "image": "web", "environment": {}, "labels": labels,
        "contract": {"type": "sw.container", "requires": requires},
    });
    let app = json!({"name": "app", "commit": "c", "releaseId": 1, "services": {"1": service}});
    check(&target(&json!({"apps": {"1": app}})).apps[&1], device)
}

fn is_met(need: &Value) -> bool {
    let found = verdict(&jetson(), &json!([need]), &json!({}));
    assert!(found.dropped.is_empty());
    !found.is_rejected()
}

#[test]
fn every_type_is_compared_with_the_device() {
    for (need, met) in [
        (json!({"type": "sw.supervisor"}), true),
        (
            json!({"type": "sw.spec", "slug": "compose", "version": ">=1"}),
            true,
        ),
        (
            json!({"type": "sw.spec", "slug": "compose", "version": ">=2"}),
            false,
        ),
        (
            json!({"type": "sw.supervisor", "version": ">=10.0.0 <20"}),
            true,
        ),
        (
            json!({"type": "sw.supervisor", "version": ">=99.0.0"}),
            false,
        ),
        (
            json!({"type": "sw.supervisor", "slug": "balena-supervisor"}),
            false,
        ),
        (
            json!({"type": "sw.application", "slug": "balena-supervisor", "version": "^19"}),
            true,
        ),
        (json!({"type": "sw.application", "slug": "other"}), false),
        (json!({"type": "sw.l4t", "version": "32.2"}), true),
        (json!({"type": "sw.l4t", "version": "<32.2"}), false),
        (
            json!({"type": "sw.os", "slug": "balena-os", "version": ">=2.80.0"}),
            true,
        ),
        (json!({"type": "sw.os", "slug": "ubuntu"}), false),
        (
            json!({"type": "sw.kernel", "slug": "linux", "version": "4.9.x"}),
            true,
        ),
        (json!({"type": "sw.kernel", "version": ">=5"}), false),
        (
            json!({"type": "hw.device-type", "slug": "jetson-nano"}),
            true,
        ),
        (
            json!({"type": "hw.device-type", "slug": "raspberrypi3"}),
            false,
        ),
        (
            json!({"type": "hw.device-type", "slug": "jetson-nano", "version": "1"}),
            false,
        ),
        (json!({"type": "arch.sw", "slug": "aarch64"}), true),
        (json!({"type": "arch.sw", "slug": "amd64"}), false),
        (
            json!({"type": "arch.sw", "slug": "aarch64", "data": {"bits": 64}}),
            false,
        ),
        (
            json!({"or": [{"type": "arch.sw", "slug": "amd64"}, {"type": "sw.l4t"}]}),
            true,
        ),
        (
            json!({"or": [{"type": "arch.sw", "slug": "amd64"}, {"type": "sw.l4t", "version": "1"}]}),
            false,
        ),
    ] {
        assert_eq!(is_met(&need), met, "{need}");
    }
}

#[test]
fn every_requirement_must_be_met_and_each_that_is_not_is_told() {
    let requires = json!([
        {"type": "arch.sw", "slug": "amd64"},
        {"type": "hw.device-type", "slug": "jetson-nano"},
        {"or": [{"type": "sw.os", "slug": "balena-os", "version": ">=3.0.0"}, {"type": "sw.os", "slug": "x"}, {"type": "sw.kernel", "version": ">5"}]},
    ]);
    let found = verdict(&jetson(), &requires, &json!({}));
    let told: Vec<_> = found.unmet().collect();
    assert_eq!(
        told,
        [
            (
                "web",
                "service web requires arch.sw amd64; this device has arch.sw aarch64"
            ),
            (
                "web",
                "service web requires sw.os balena-os >=3.0.0 or sw.os x or sw.kernel >5; \
                 this device has sw.os balena-os 2.88.4+rev1 and sw.kernel linux 4.9.140"
            ),
        ]
    );
    assert!(found.is_rejected());
}

#[test]
fn an_optional_service_is_dropped_and_the_rest_may_run() {
    let requires = json!([{"type": "sw.l4t"}]);
    for label in ["io.balena.features.optional", "io.resin.features.optional"] {
        let found = verdict(&device(), &requires, &json!({label: "1"}));
        assert!(!found.is_rejected());
        assert_eq!(
            found.dropped["web"],
            ["service web requires sw.l4t; this device has no sw.l4t"]
        );
    }
    let found = verdict(
        &device(),
        &requires,
        &json!({"io.balena.features.optional": "0"}),
    );
    assert!(found.is_rejected() && found.dropped.is_empty());
}

#[test]
fn a_contract_that_cannot_be_read_is_not_met() {
    let service = json!({"imageId": 1, "serviceName": "web", "image": "web", "environment": {}, "labels": {}});
    let app = json!({"name": "app", "commit": "c", "releaseId": 1, "services": {"1": service}});
    let mut app = target(&json!({"apps": {"1": app}})).apps[&1].clone();
    for (kept, told) in [
        (json!("all"), "must be an object"),
        (
            json!({"requires": [{"type": "sw.moon"}, 1]}),
            "requires.0.type `sw.moon` is no type of requirement, requires.1 must be an object",
        ),
    ] {
        app.services.get_mut("web").unwrap().contract = Some(kept);
        let words = format!("service web has a contract that this device cannot read: {told}");
        let verdict = check(&app, &device());
        assert_eq!(verdict.unmet().collect::<Vec<_>>(), [("web", &*words)]);
    }
}

#[test]
fn a_service_without_a_contract_may_run_anywhere() {
    for requires in [json!(null), json!([])] {
        assert_eq!(
            verdict(&device(), &requires, &json!({})),
            Verdict::default()
        );
    }
}

#[test]
fn versions_lie_in_ranges_as_npm_has_it() {
    for (range, inside, outside) in [
        (
            "1.2.3",
            vec!["1.2.3", "v1.2.3", "1.2.3+x"],
            vec!["1.2.4", "1.2.3-1"],
        ),
        ("=1.2.3", vec!["1.2.3"], vec!["1.2.2"]),
        (">1.2.3", vec!["1.2.4", "2.0.0"], vec!["1.2.3", "1.2.4-rc"]),
        (">=1.2.3", vec!["1.2.3", "1.3.0"], vec!["1.2.2"]),
        ("<1.2.3", vec!["1.2.2", "0.0.0"], vec!["1.2.3", "1.2.3-rc"]),
        ("<=1.2.3", vec!["1.2.3"], vec!["1.2.4"]),
        (">1.2", vec!["1.3.0"], vec!["1.2.9"]),
        (">1", vec!["2.0.0"], vec!["1.9.9"]),
        (">=1.2", vec!["1.2.0"], vec!["1.1.9"]),
        ("<1.2", vec!["1.1.9"], vec!["1.2.0", "1.2.0-0"]),
        ("<=1.2", vec!["1.2.9"], vec!["1.3.0"]),
        (">*", vec![], vec!["0.0.0", "9.9.9"]),
        ("<*", vec![], vec!["0.0.0", "9.9.9"]),
        ("*", vec!["0.0.0", "9.9.9"], vec!["1.0.0-rc"]),
        ("", vec!["0.0.0", "9.9.9"], vec!["1.0.0-rc"]),
        (
            "1.x",
            vec!["1.0.0", "1.9.9"],
            vec!["2.0.0", "2.0.0-0", "0.9.9"],
        ),
        ("1.2.*", vec!["1.2.9"], vec!["1.3.0"]),
        ("1", vec!["1.2.3"], vec!["2.0.0"]),
        ("~1.2.3", vec!["1.2.3", "1.2.9"], vec!["1.3.0", "1.2.2"]),
        ("~1.2", vec!["1.2.0"], vec!["1.3.0"]),
        ("~1", vec!["1.9.0"], vec!["2.0.0"]),
        ("~>1.2.3", vec!["1.2.4"], vec!["1.3.0"]),
        ("^1.2.3", vec!["1.2.3", "1.9.9"], vec!["2.0.0", "1.2.2"]),
        ("^0.2.3", vec!["0.2.9"], vec!["0.3.0"]),
        ("^0.0.3", vec!["0.0.3"], vec!["0.0.4"]),
        ("^0.0", vec!["0.0.9"], vec!["0.1.0"]),
        ("^0", vec!["0.9.9"], vec!["1.0.0"]),
        ("^1.x", vec!["1.9.9"], vec!["2.0.0"]),
        (
            "1.2.3 - 2.3.4",
            vec!["1.2.3", "2.3.4"],
            vec!["2.3.5", "1.2.2"],
        ),
        ("1.2 - 2.3", vec!["1.2.0", "2.3.9"], vec!["2.4.0"]),
        (">=1.2.3 <2", vec!["1.9.9"], vec!["2.0.0"]),
        (">= 1.2.3 < 2", vec!["1.9.9"], vec!["2.0.0"]),
        ("<1 || >=2.0.0", vec!["0.9.0", "2.0.0"], vec!["1.5.0"]),
        (
            ">=1.2.3-rc.2",
            vec!["1.2.3-rc.2", "1.2.3-rc.10", "1.2.3"],
            vec!["1.2.3-rc.1", "1.2.4-rc.3"],
        ),
        (
            ">1.2.3-alpha <1.2.3",
            vec!["1.2.3-beta"],
            vec!["1.2.3-1", "1.2.3"],
        ),
    ] {
        for version in inside {
            assert!(satisfies(version, range), "{version} in {range}");
        }
        for version in outside {
            assert!(!satisfies(version, range), "{version} not in {range}");
        }
    }
}

#[test]
fn what_is_no_version_or_range_must_be_the_same() {
    for same in [
        "wheezy", "20.04", "1.2.3.4", ">>1", "01.2.3", "1.2.3-", "1.2.3+",
    ] {
        assert!(satisfies(same, same), "{same}");
        assert!(!satisfies("1.2.3", same), "{same}");
    }
    assert!(!satisfies("wheezy", "*"));
    assert!(!satisfies("1.2.3", &"1".repeat(300)));
}
