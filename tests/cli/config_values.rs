//! What `os` takes for a key of config.json is what a device makes something of: both are given the same values.

use base64::Engine as _;
use serde_json::{Value, json};
use testkit::Workstation;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cB";

/// Keys, and values of which a device takes some.
#[expect(clippy::too_many_lines, reason = "a table")]
fn values() -> Vec<(&'static str, Vec<Value>)> {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encoded = base64::engine::general_purpose::STANDARD.encode(pem);
    let switches = || {
        vec![
            json!(true),
            json!(false),
            json!("true"),
            json!(" True"),
            json!("off"),
            json!("no"),
            json!("0"),
            json!(0),
            json!(1),
            json!(""),
            json!("yes"),
            json!("on"),
            json!([]),
            json!({}),
            json!(null),
        ]
    };
    let sizes = || {
        vec![
            json!("32M"),
            json!("0M"),
            json!("00"),
            json!("12"),
            json!("1G"),
            json!("1T"),
            json!("-1M"),
            json!(32),
            json!("1234567890123"),
            json!("8M\nx"),
        ]
    };
    let line = |options: &str| format!("{options}{KEY} me@here and more");
    vec![
        (
            "uuid",
            vec![
                json!("0".repeat(32)),
                json!("A".repeat(62)),
                json!("0".repeat(31)),
                json!("g".repeat(32)),
                json!(""),
            ],
        ),
        (
            "hostname",
            vec![
                json!("kitchen"),
                json!(""),
                json!(" a "),
                json!("-a"),
                json!("a-"),
                json!("a.b"),
                json!("x".repeat(63)),
                json!("x".repeat(64)),
                json!(5),
                json!("two words"),
            ],
        ),
        (
            "initialDeviceName",
            vec![
                json!("The kitchen's"),
                json!("x".repeat(255)),
                json!("x".repeat(256)),
                json!("a\nb"),
                json!("a\tb"),
                json!(""),
            ],
        ),
        ("developmentMode", switches()),
        ("persistentLogging", switches()),
        ("os.network.wifi.randomMacAddressScan", switches()),
        ("os.journal.memory", sizes()),
        ("os.journal.disk", sizes()),
        (
            "dnsServers",
            vec![
                json!("8.8.8.8"),
                json!("8.8.8.8, 1.1.1.1"),
                json!("8.8.8.8 2620:fe::fe 10.0.0.1#5353"),
                json!("null"),
                json!(" null "),
                json!(""),
                json!(null),
                json!("one.one.one.one"),
                json!("8.8.8.8 one.one.one.one"),
                json!("none 1.1.1.1"),
                json!("null 1.1.1.1"),
                json!("1.1.1.1#0"),
                json!("1.1.1.1#+5"),
                json!(vec!["1.1.1.1"; 16].join(" ")),
                json!(vec!["1.1.1.1"; 17].join(",")),
                json!(["1.1.1.1"]),
                json!(","),
            ],
        ),
        (
            "ntpServers",
            vec![
                json!("time.example 10.0.0.2"),
                json!("a_b.c"),
                json!("-a"),
                json!("a..b"),
                json!("$(a)"),
                json!("null"),
                json!(""),
                json!("a,b"),
                json!("a:b"),
                json!(7),
                json!("a%b"),
                json!("x".repeat(64)),
            ],
        ),
        (
            "country",
            vec![
                json!("de"),
                json!("DE"),
                json!("00"),
                json!(""),
                json!("Germany"),
                json!("d-"),
                json!(" de "),
            ],
        ),
        (
            "os.network.connectivity.uri",
            vec![
                json!("http://a/x"),
                json!("https://a"),
                json!("https://"),
                json!("ftp://a"),
                json!("http://a b"),
                json!(""),
                json!(format!("http://{}", "a".repeat(2048))),
            ],
        ),
        (
            "os.network.connectivity.interval",
            vec![
                json!(0),
                json!(60),
                json!("60"),
                json!(86_400 * 365),
                json!(86_400 * 365 + 1),
                json!(-1),
                json!(1.5),
                json!(""),
            ],
        ),
        (
            "os.network.connectivity.response",
            vec![
                json!("ok"),
                json!("a\nb"),
                json!(""),
                json!("x".repeat(2049)),
                json!(1),
            ],
        ),
        (
            "os.udevRules",
            vec![
                json!({}),
                json!({"10-usb": "x"}),
                json!({"20.rules": "a\nb"}),
                json!({"../../x": "x"}),
                json!({"a/b": "x"}),
                json!({".a": "x"}),
                json!({"-a": "x"}),
                json!({"a": 7}),
                json!({"": "x"}),
                json!({"a": "\0"}),
                json!([]),
                json!("x"),
                json!({"a": "x".repeat(64 * 1024 + 1)}),
                json!(null),
            ],
        ),
        (
            "listenPort",
            vec![
                json!(1),
                json!(65535),
                json!(0),
                json!(65536),
                json!("4848"),
                json!("x"),
                json!(""),
            ],
        ),
        (
            "balenaRootCA",
            vec![
                json!(encoded),
                json!(format!("{}\n{}", &encoded[..20], &encoded[20..])),
                json!("YWJj"),
                json!("!"),
                json!(""),
            ],
        ),
        (
            "os.fan.profile",
            vec![
                json!("quiet"),
                json!("loud"),
                json!("a b"),
                json!("x".repeat(65)),
                json!(""),
            ],
        ),
        (
            "os.power.mode",
            vec![json!("mid"), json!(["low"]), json!("../x")],
        ),
        (
            "os.kernel.extraFirmwareVol",
            vec![
                json!(true),
                json!(false),
                json!("drivers"),
                json!("true"),
                json!("-a"),
                json!("../etc"),
                json!(""),
                json!(1),
            ],
        ),
        (
            "apiEndpoint",
            vec![
                json!("https://api.example"),
                json!(""),
                json!("api.example"),
                json!("https://a b"),
            ],
        ),
        (
            "registryEndpoint",
            vec![json!("registry.example"), json!("a b"), json!("")],
        ),
        (
            "apiKey",
            vec![json!("abc"), json!("a b"), json!("ü"), json!("")],
        ),
        ("deviceApiKey", vec![json!("abc"), json!("a b")]),
        (
            "os.sshKeys",
            vec![
                json!([]),
                json!(false),
                json!(true),
                json!(null),
                json!([KEY]),
                json!([line("")]),
                json!([format!(" {KEY} ")]),
                json!([KEY, "garbage"]),
                json!(["garbage"]),
                json!([line("no-pty,from=\"10.0.0.0/8,*.lan\" ")]),
                json!([line("command=\"echo \\\"a, b\\\"\",No-PTY ")]),
                json!([line("command=a ")]),
                json!([line("no-pty, ")]),
                json!([line("device.local ")]),
                json!([line("pty=\"x\" ")]),
                json!([line("# ")]),
                json!(["ssh-dss AAAAB3NzaC1kc3MAAAABAA=="]),
                json!(["ssh-ed25519 AAAA"]),
                json!([KEY.replace("ssh-ed25519", "ssh-rsa")]),
                json!([&KEY[..KEY.len() - 4]]),
                json!([1]),
                json!(KEY),
                json!({}),
                json!([format!("{KEY} {}", "x".repeat(8 * 1024))]),
                json!([format!("{KEY}\nssh-rsa AAAA")]),
            ],
        ),
    ]
}

/// A configuration with one key.
fn with(key: &str, value: &Value) -> Value {
    let parts = key.rsplit('.');
    parts.fold(value.clone(), |value, part| json!({ part: value }))
}

/// Whether a device has nothing to say of the key.
fn is_taken_by_the_device(key: &str, value: &Value) -> bool {
    let file = with(key, value).to_string();
    let told = os_agent::fuzz::configured(file.as_bytes(), b"{}").sentences;
    !told.iter().any(|told| told.contains(&format!("`{key}`")))
}

#[tokio::test]
async fn what_is_taken_here_is_what_the_device_takes() {
    let workstation = Workstation::new(None);
    let mut wrong = Vec::new();
    for (key, values) in values() {
        for value in values {
            let expected = is_taken_by_the_device(key, &value);
            workstation.write("given.json", with(key, &value).to_string());
            let words = [
                "config",
                "generate",
                "--device-type",
                "board",
                "--config",
                "given.json",
            ];
            let made = workstation.os(&words).await;
            let is_refused = made.stderr.contains(&format!("`{key}` wants"));
            assert!(made.code == 0 || is_refused, "{made}");
            if (made.code == 0) != expected {
                let shown: String = value.to_string().chars().take(100).collect();
                wrong.push(format!("{key} {shown}: the device says {expected}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
