use serde_json::json;

use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cB";

fn read(text: &str) -> Document {
    Document::read(text.as_bytes()).unwrap()
}

fn text(document: &Document) -> String {
    String::from_utf8(document.bytes()).unwrap()
}

#[test]
fn what_does_not_change_stays_as_it_was_written() {
    let odd = "\u{feff}{ \"z\": 1.50,\n\t\"hostname\" : \"a\" }\n";
    let mut document = read(odd);
    document.write("hostname", "a", false).unwrap();
    assert!(!document.remove("nothing.here"));
    assert_eq!(text(&document), odd);
    document.write("hostname", "b", false).unwrap();
    assert_eq!(
        text(&document),
        "{\n  \"z\": 1.50,\n  \"hostname\": \"b\"\n}"
    );
    let mut document = read("{\"b\":1,\"a\":{\"c\":[]}}");
    document
        .write("os.network.wifi.randomMacAddressScan", "true", false)
        .unwrap();
    document.write("os.sshKeys", KEY, false).unwrap();
    let expected = "{\"b\":1,\"a\":{\"c\":[]},\"os\":{\"network\":{\"wifi\":{\"randomMacAddressScan\":true}},\"sshKeys\":[\"KEY\"]}}";
    assert_eq!(text(&document), expected.replace("KEY", KEY));
    assert!(document.remove("os.sshKeys"));
    assert_eq!(document.get("os.sshKeys"), None);
    assert_eq!(document.get("b"), Some(&json!(1)));
    assert!(document.remove("b"));
    assert!(text(&document).starts_with("{\"a\":{\"c\":[]},\"os\":"));
}

#[test]
fn a_number_of_others_stays_the_same_number() {
    let mut document = read("{\"own\":1.4444444444444443e25}");
    document.write("hostname", "a", false).unwrap();
    let expected = "{\"own\":1.4444444444444443e25,\"hostname\":\"a\"}";
    assert_eq!(text(&document), expected);
    assert_eq!(text(&read(expected)), expected);
    assert_eq!(read(expected).keys(), document.keys());
}

#[test]
fn a_number_that_nobody_changes_stays_as_it_was_spelled() {
    let digits = "123456789012345678901234567890";
    let before = "{\"a\":1.10,\"b\":[1e2,{\"c\":-0,\"d\":1E400},-1e999],\"e\":DIGITS,\"f\":1.0,\"g\\u0022\":2.50,\"h\":[],\"i\":{}}";
    let before = before.replace("DIGITS", digits);
    let mut document = read(&before);
    assert_eq!(document.get("a"), Some(&json!(1.1)));
    document.write("hostname", "a", false).unwrap();
    let expected = before.replace("\"i\":{}", "\"i\":{},\"hostname\":\"a\"");
    assert_eq!(text(&document), expected.replace("\\u0022", "\\\""));
    // What is changed is spelled as it was typed.
    document.write("a", "7", true).unwrap();
    document.write("f", "1.5", true).unwrap();
    let after = text(&document);
    assert!(
        after.starts_with("{\"a\":7,\"b\":[1e2,{\"c\":-0,\"d\":1E400},-1e999]"),
        "{after}"
    );
    assert!(after.contains("\"f\":1.5,"), "{after}");
    // Wide files are as those who write JSON have them.
    let wide =
        "{\n  \"a\": 1.10,\n  \"b\": [\n    {},\n    1e2\n  ],\n  \"c\": {\n    \"d\": []\n  }\n}";
    let mut document = read(wide);
    document.write("hostname", "a", false).unwrap();
    assert!(document.remove("hostname"));
    assert_eq!(text(&document), wide);
    for broken in [
        "{\"a\":1e400",
        "{\"a\":1e400e}",
        "{\"a\":--1e400}",
        "{\"a\":01}",
        "{\"a\":1e400.}",
    ] {
        assert!(Document::read(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn a_key_that_stands_there_twice_is_told() {
    for (text, key) in [
        ("{\"a\":1,\"b\":2,\"a\":3}", "a"),
        ("{\"x\":[{\"own\":1,\"\\u006fwn\":\"s\"}]}", "own"),
    ] {
        let wrong = read(text).wrong();
        assert_eq!(wrong, [ConfigError::Twice(key.to_owned())], "{text}");
    }
    assert_eq!(read("{\"a\":{\"b\":1},\"b\":{\"b\":1}}").twice(), None);
}

#[test]
fn an_unknown_key_is_refused_with_what_may_be_meant() {
    let mut document = read("{\"own\":\"5\"}");
    let refused = document.write("persistantLogging", "true", false);
    let Err(ConfigError::Unknown { near, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(near, ["persistentLogging"]);
    for (key, typed, value) in [
        ("own", "7", json!("7")),
        ("more", "7", json!(7)),
        ("code", "007", json!("007")),
        ("deep.down", "true", json!(true)),
        ("list", "[1, 2]", json!([1, 2])),
        ("quoted", "\"a\"", json!("\"a\"")),
    ] {
        document.write(key, typed, true).unwrap();
        assert_eq!(document.get(key), Some(&value), "{key}");
    }
    let refused = document.write("more.below", "1", true).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`more.below` cannot be there: `more` holds a value of its own"
    );
    assert!(document.write("a..b", "1", true).is_err());
}

#[test]
fn rules_have_names_with_points() {
    let mut document = read("{}");
    document
        .write("os.udevRules.56.own", "A\nB", false)
        .unwrap();
    assert_eq!(
        document.get("os.udevRules"),
        Some(&json!({"56.own": "A\nB"}))
    );
    document
        .write("deviceApiKeys.api.example.com", "k", false)
        .unwrap();
    assert_eq!(
        document.get("deviceApiKeys"),
        Some(&json!({"api.example.com": "k"}))
    );
}

#[test]
fn secrets_are_hidden_wherever_they_are() {
    let document = read(
        "{\"apiKey\":\"s1\",\"deviceApiKeys\":{\"host\":\"s2\"},\"wifiKey\":\"s3\",\"files\":{\"network.config\":\"s4\"},\"hostname\":\"a\"}",
    );
    let shown = document.without_secrets().to_string();
    assert!(!shown.contains("\"s"), "{shown}");
    assert!(
        shown.contains("\"hostname\":\"a\"") && shown.contains("host"),
        "{shown}"
    );
    assert!(is_secret("deviceApiKeys.api.example.com") && !is_secret("hostname"));
}

#[test]
fn what_is_known_and_no_secret_is_readable() {
    let plain = json!({
        "developmentMode": true,
        "hostname": "kitchen",
        "dnsServers": "1.1.1.1 8.8.8.8",
        "apiEndpoint": "https://api.example.com",
        "registryEndpoint": "registry.example.com:443",
        "country": "DE",
        "os": {"sshKeys": [KEY], "udevRules": {"56": "ENV{ID_INPUT_KEY}==\"1\", SYMLINK+=\"a\""}},
    });
    assert_eq!(read(&plain.to_string()).without_secrets(), plain);
}

#[test]
fn what_is_no_configuration_is_told_without_its_words() {
    for text in [
        "",
        "[]",
        "null",
        "{\"apiKey\":\"secret",
        "{\"apiKey\":secret}",
        "\0",
    ] {
        let error = Document::read(text.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn values_of_the_wrong_type_are_found() {
    let document = read(
        "{\"developmentMode\":\"true\",\"vpnPort\":\"443\",\"hostname\":5,\"os\":{\"sshKeys\":\"k\",\"udevRules\":{\"a\":1}},\"country\":null}",
    );
    let wrong: Vec<String> = document.wrong().iter().map(ToString::to_string).collect();
    assert_eq!(
        wrong,
        [
            "`hostname` wants letters, digits and hyphens, at most 63",
            "`os.sshKeys` wants public keys of SSH: one, or a JSON array of them; `false` for nobody",
            "`os.udevRules` wants a JSON object of rules by names of files: letters, digits, `-`, `_` and `.`"
        ]
    );
}
