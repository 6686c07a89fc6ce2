//! Volumes, in both forms.

use serde_json::json;

use super::{super::VolumeUse, one, read, wrong};

#[test]
fn volumes_are_named_or_left_out() {
    let read = one(
        "volumes",
        json!([
            "data:/data:ro", "/cache", "/etc:/x", "./src:/y",
            {"type": "volume", "source": "data", "target": "/z", "readOnly": true, "volume": {"nocopy": true}},
            {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m"}},
            {"type": "bind", "source": "/a", "target": "/b"},
        ]),
    );
    assert_eq!(
        read.volumes,
        [
            VolumeUse::Named {
                name: "data".to_owned(),
                target: "/data:ro".to_owned()
            },
            VolumeUse::Anonymous {
                target: "/cache".to_owned()
            },
            VolumeUse::Mounted {
                name: Some("data".to_owned()),
                target: "/z".to_owned(),
                read_only: true,
                no_copy: true
            },
            VolumeUse::Tmpfs {
                target: "/t".to_owned(),
                read_only: false,
                size: 1 << 20
            },
        ]
    );
    assert_eq!(read.warnings.len(), 3);
    assert_eq!(wrong("volumes", json!(["a/b:/c"]))[0].0, "volumes.0");
    assert_eq!(wrong("volumes", json!(["data:c"]))[0].0, "volumes.0");
}

#[test]
fn folders_below_the_devices_tmp_may_be_mounted() {
    let volumes = |value| one("volumes", value);
    let read = volumes(json!([
        "/tmp/a:/a:ro,rshared", " /tmp/b/c : /b ",
        {"type": "bind", "source": "/tmp/d", "target": "/d", "read_only": true, "bind": {"propagation": "rslave"}},
    ]));
    let bound = |source: &str, target: &str| VolumeUse::Bound {
        source: source.to_owned(),
        target: target.to_owned(),
    };
    let mounted = VolumeUse::BoundMount {
        source: "/tmp/d".to_owned(),
        target: "/d".to_owned(),
        read_only: true,
        propagation: Some("rslave".to_owned()),
    };
    assert_eq!(
        read.volumes,
        [
            bound("/tmp/a", "/a:ro,rshared"),
            bound("/tmp/b/c", "/b"),
            mounted
        ]
    );
    assert_eq!(read.warnings, [""; 0]);
    for outside in [
        "/tmp:/a",
        "/tmp/:/a",
        "/tmp/../etc:/a",
        "/tmp/a/../../etc:/a",
        "/tmp/./a:/a",
        "/tmpfoo/a:/a",
        "/tmp/balena-supervisor/services:/a",
        "/tmp//resin-supervisor:/a",
        "tmp/a:/a",
    ] {
        if outside.starts_with('/') {
            let read = volumes(json!([outside]));
            assert!(read.volumes.is_empty(), "{outside}");
            assert_eq!(read.warnings.len(), 1, "{outside}");
        } else {
            assert_eq!(wrong("volumes", json!([outside])).len(), 1);
        }
    }
    for source in ["/tmp/../etc", "/tmp/balena-supervisor/services/1/web"] {
        let long = json!([{"type": "bind", "source": source, "target": "/a"}]);
        assert!(volumes(long).volumes.is_empty(), "{source}");
    }
    let wrong_word =
        json!([{"type": "bind", "source": "/tmp/a", "target": "/a", "bind": {"propagation": "x"}}]);
    assert_eq!(wrong("volumes", wrong_word)[0].0, "volumes.0");
}

#[test]
fn what_an_engine_would_refuse_of_volumes_is_refused() {
    for bad in [
        json!(["data:/a", "other:/a/"]),
        json!(["data:/a", {"type": "tmpfs", "target": "/a"}]),
        json!(["data:/a", "other:/b/../a/."]),
        json!(["/cache", "/"]),
        json!(["/cache", "/a/.."]),
        json!(["/cache", "data:/a/.."]),
        json!(["/cache", "data:/tmp/balena"]),
        json!(["/cache", "data:/tmp/./resin/:ro"]),
        json!(["/cache", {"type": "tmpfs", "target": "/tmp//balena"}]),
        json!(["/cache", "data:/"]),
        json!(["/cache", "data:/a:ro,rw"]),
        json!(["/cache", "data:/a:shared"]),
        json!(["/cache", "data:/a:banana"]),
        json!(["/cache", "data:/a:ro:z"]),
        json!(["/cache", {"type": "volume", "source": "data", "target": "/"}]),
        json!(["/cache", {"type": "moon", "target": "/a"}]),
    ] {
        let found = wrong("volumes", bad.clone());
        assert_eq!(found[0].0, "volumes.1", "{bad}");
    }
    let twice = one(
        "volumes",
        json!(["data:/a:rw,z,nocopy", "data:/a:rw,z,nocopy"]),
    );
    assert_eq!(twice.volumes.len(), 1);
    let foreign = one(
        "volumes",
        json!([{"type": "npipe", "source": "x", "target": "y"}]),
    );
    assert_eq!((foreign.volumes.len(), foreign.warnings.len()), (0, 1));
    let both = [
        ("volumes".to_owned(), json!(["data:/a"])),
        ("tmpfs".to_owned(), json!(["/a/:size=1m"])),
    ];
    let (_, faults) = read(&both.into_iter().collect());
    assert_eq!(faults[0].at, "tmpfs");
    for bad in ["/", "/./", "/a/..:size=1m", "a", "/tmp/balena"] {
        assert_eq!(wrong("tmpfs", json!(bad))[0].0, "tmpfs", "{bad}");
    }
    // The engine lets these be.
    for fine in [
        json!(["/a", "data:/a"]),
        json!(["data:/tmp/balena/x", "/tmp/resin"]),
    ] {
        assert_eq!(one("volumes", fine).volumes.len(), 2);
    }
}

#[test]
fn members_of_the_long_form_without_effect_are_told() {
    for (entry, warned) in [
        (
            json!({"type": "volume", "source": "data", "target": "/a", "volume": {"subpath": "b", "nocopy": true}}),
            vec!["volumes.volume: `subpath` has no effect"],
        ),
        (
            json!({"target": "/a", "consistency": "cached", "tmpfs": {"size": 1}, "readOnly": null}),
            vec![
                "volumes: `consistency` has no effect",
                "volumes: `tmpfs` has no effect",
            ],
        ),
        (
            json!({"type": "tmpfs", "target": "/a", "read_only": true, "tmpfs": {"size": "1m", "mode": 448}}),
            vec!["volumes.tmpfs: `mode` has no effect"],
        ),
        (
            json!({"type": "bind", "source": "/tmp/a", "target": "/a", "bind": {"createHostPath": true, "propagation": "shared"}}),
            vec!["volumes.bind: `createHostPath` has no effect"],
        ),
    ] {
        let read = one("volumes", json!([entry]));
        assert_eq!(read.volumes.len(), 1);
        assert_eq!(read.warnings, warned);
    }
}

#[test]
fn long_volumes_that_the_reference_leaves_out_are_left_out() {
    for entry in [
        json!({"type": "volume", "source": "/etc", "target": "/a"}),
        json!({"type": "volume", "source": "/tmp/a", "target": "/a"}),
        json!({"source": "./src", "target": "/a"}),
        json!({"type": "tmpfs", "source": "x", "target": "/a"}),
        json!({"type": "bind", "source": "/etc", "target": "/a"}),
    ] {
        let read = one("volumes", json!(["/cache", entry.clone()]));
        assert_eq!((read.volumes.len(), read.warnings.len()), (1, 1), "{entry}");
    }
    let no_name = json!([{"type": "volume", "source": "a b", "target": "/a"}]);
    assert_eq!(wrong("volumes", no_name)[0].0, "volumes.0");
}
