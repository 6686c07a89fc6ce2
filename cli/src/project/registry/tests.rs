use base64::{Engine, engine::general_purpose::URL_SAFE};
use serde_json::{Value, json};

use super::{RegistryError, RegistryRequest, RegistrySecrets, load};

/// The secrets of a folder that is both the project and, below `config`, the configuration.
fn read(files: &[(&str, &str)], named: Option<&str>) -> Result<RegistrySecrets, RegistryError> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    let file = named.map(|name| folder.path().join(name));
    load(&RegistryRequest {
        file: file.as_deref(),
        config_dir: Some(&folder.path().join("config")),
        project_root: folder.path(),
    })
}

fn decode(header: &str) -> Value {
    serde_json::from_slice(&URL_SAFE.decode(header).unwrap()).unwrap()
}

#[test]
fn none_are_an_empty_object() {
    let secrets = read(&[], None).unwrap();
    assert!(secrets.is_empty());
    assert_eq!(secrets.config_header(), "e30=");
    assert_eq!(secrets.auth_header("busybox"), "e30=");
}

#[test]
fn the_engine_gets_all_for_a_build_and_one_for_a_pull() {
    let text = "docker.io: {username: h, password: p}\nghcr.io:\n  username: g\n  password: 0123\n";
    let secrets = read(&[("s.yml", text)], Some("s.yml")).unwrap();
    assert_eq!(
        decode(&secrets.config_header()),
        json!({
            "docker.io": {"username": "h", "password": "p"},
            "ghcr.io": {"username": "g", "password": "0123"},
            "https://index.docker.io/v1/": {"username": "h", "password": "p"},
        })
    );
    assert_eq!(
        decode(&secrets.auth_header("ghcr.io/a/b:1")),
        json!({"username": "g", "password": "0123", "serveraddress": "ghcr.io"})
    );
    for hub in [
        "busybox",
        "library/busybox:1",
        "docker.io/library/busybox",
        "index.docker.io/x/y",
    ] {
        let expected = json!({"username": "h", "password": "p", "serveraddress": "https://index.docker.io/v1/"});
        assert_eq!(decode(&secrets.auth_header(hub)), expected, "{hub}");
    }
    assert!(secrets.credentials("localhost:5000/x").is_none());
    assert!(secrets.credentials("ghcr.io.example.com/x").is_none());
}

#[test]
fn every_name_of_docker_hub_is_understood() {
    for name in [
        "",
        "https://docker.io",
        "http://idx.docker.io/v1",
        "cloud.docker.com",
        "https://hub.docker.com/",
        "docker.com/x",
        "https://index.docker.io/v1/",
    ] {
        let text = json!({name: {"username": "u", "password": "p"}}).to_string();
        let secrets = read(&[("s.json", &text)], Some("s.json")).unwrap();
        assert!(secrets.credentials("alpine").is_some(), "{name}");
    }
}

#[test]
fn an_address_is_looked_up_by_its_host() {
    let text =
        json!({"https://r.example:5000/v2/": {"username": "u", "password": "p"}}).to_string();
    let secrets = read(&[("s.json", &text)], Some("s.json")).unwrap();
    assert!(secrets.credentials("r.example:5000/a").is_some());
    assert!(secrets.credentials("r.example/a").is_none());
}

#[test]
fn the_header_uses_the_alphabet_that_engines_decode() {
    let text = json!({"r.io": {"username": "ü?>~", "password": "ÿÿÿ>>>???"}}).to_string();
    let secrets = read(&[("s.json", &text)], Some("s.json")).unwrap();
    let header = secrets.config_header();
    assert!(!header.contains(['+', '/']), "{header}");
    assert_eq!(decode(&header)["r.io"]["password"], "ÿÿÿ>>>???");
}

#[test]
fn files_are_looked_for_in_order_and_the_person_s_wins() {
    let one =
        |user: &str, registry: &str| format!("{registry}: {{username: {user}, password: p}}\n");
    let user = |secrets: &RegistrySecrets, image: &str| {
        secrets.credentials(image).unwrap().username.clone()
    };
    let (project, short, long, named) = (
        one("project", "a.io"),
        one("yml", "a.io"),
        one("yaml", "a.io"),
        one("named", "b.io"),
    );
    let files = [
        (".balena/registry-secrets.yml", project.as_str()),
        ("config/secrets.yml", &short),
        ("config/secrets.yaml", &long),
        ("n.yaml", &named),
    ];
    assert_eq!(user(&read(&files, None).unwrap(), "a.io/x"), "yml");
    let secrets = read(&files, Some("n.yaml")).unwrap();
    assert_eq!(
        (user(&secrets, "a.io/x"), user(&secrets, "b.io/x")),
        ("project".into(), "named".into())
    );
    assert!(matches!(
        read(&files, Some("none.yml")),
        Err(RegistryError::Missing { .. })
    ));
}

#[test]
fn mistakes_are_named_with_their_line_and_without_the_secret() {
    let cases = [
        (
            "s.yml",
            "a.io:\n  username: u\n",
            ":1: registry \"a.io\" needs both username and password",
        ),
        (
            "s.yml",
            "a.io:\n  username: u\n  passwort: hunter2\n",
            ":3: a registry has username and password, not passwort",
        ),
        (
            "s.yml",
            "a.io: hunter2\n",
            ":1: a registry's entry must be a mapping",
        ),
        (
            "s.yml",
            "a.io:\n  username: u\n  password: [hunter2]\n",
            ":3: password must be text",
        ),
        ("s.yml", "- hunter2\n", ":1: the file must be a mapping"),
        (
            "s.json",
            "{\n\"a.io\": {\"password\": \"hunter2\"",
            ":2: this is not JSON",
        ),
        ("s.yml", "a.io: {password: \"hunter2\n", "s.yml:"),
    ];
    for (name, text, expected) in cases {
        let error = read(&[(name, text)], Some(name)).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(expected), "{text:?}: {said}");
        assert!(
            !said.contains("hunter2") && !format!("{error:?}").contains("hunter2"),
            "{said}"
        );
    }
}

#[test]
fn a_password_is_not_shown() {
    let secrets = read(
        &[("s.yml", "a.io: {username: u, password: hunter2}")],
        Some("s.yml"),
    )
    .unwrap();
    assert!(!format!("{secrets:?}").contains("hunter2"));
}
