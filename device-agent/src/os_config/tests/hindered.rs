use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::transaction::Transaction;
use super::*;

#[tokio::test]
async fn an_answer_that_is_none_changes_nothing() {
    let before = json!({"uuid": "u", "apiEndpoint": "http://127.0.0.1:1", "deviceApiKey": "old"});
    for (status, body, words) in [
        (
            "401 Unauthorized",
            "Unauthorized",
            "answered 401 Unauthorized",
        ),
        ("404 Not Found", "{}", "answered 404 Not Found"),
        ("302 Found", RECORDED, "answered 302 Found"),
        ("200 OK", "", "the answer is not understood"),
        ("200 OK", "<html>", "the answer is not understood"),
        ("200 OK", "{}", "the answer is not understood"),
        (
            "200 OK",
            r#"{"services":{},"schema_version":"2.0.0"}"#,
            "Expected schema version 1.0.0, got 2.0.0",
        ),
        (
            "200 OK",
            r#"{"services":{},"schema_version":"1.0.0"}"#,
            "Service `openvpn` not found in `os-config-api.json`",
        ),
        (
            "200 OK",
            r#"{"services":{"openvpn":{"ca":""}},"schema_version":"1.0.0"}"#,
            "Service `openvpn` config `config` not found in `os-config-api.json`",
        ),
        ("200 OK", &"x".repeat(2 * 1024 * 1024), "too large"),
    ] {
        let (port, asked) = cloud(status, body, None).await;
        let mut device = Device::new(&before);
        let error = device
            .join(&json!({"apiEndpoint": format!("http://127.0.0.1:{port}")}))
            .await
            .unwrap_err();
        assert!(
            error.to_string() == "Fetching configuration failed",
            "{error}"
        );
        let whole = chain(&error);
        assert!(whole.contains(words), "{whole}");
        assert_eq!(device.config(), before, "{words}");
        assert_eq!(device.text("etc/openvpn/openvpn.conf"), None);
        assert!(
            !device
                .said()
                .iter()
                .any(|line| line.starts_with("Stopping")),
            "{words}"
        );
        assert!(
            !asked.lock().unwrap()[0].contains("old"),
            "the old cloud's key is not the new one's to see"
        );
    }
    let mut device = Device::new(&before);
    let error = device
        .join(&json!({"apiEndpoint": "http://127.0.0.1:1"}))
        .await
        .unwrap_err();
    assert!(
        chain(&error).contains("could not reach 127.0.0.1:1"),
        "{}",
        chain(&error)
    );
    assert_eq!(device.config(), before);
}

#[tokio::test]
async fn a_cloud_with_a_certificate_of_its_own_is_trusted_where_config_json_says_so() {
    let (tls, pem) = own_certificate();
    let (port, asked) = cloud("200 OK", RECORDED, Some(tls)).await;
    let url = format!("https://localhost:{port}");
    let mut device = Device::new(&json!({"uuid": "u"}));
    let error = device.join(&json!({"apiEndpoint": url})).await.unwrap_err();
    assert!(
        chain(&error).contains("localhost is not trusted"),
        "{}",
        chain(&error)
    );
    assert_eq!(device.config(), json!({"uuid": "u"}));
    let (_, others) = own_certificate();
    let with = |pem: &str| json!({"apiEndpoint": url, "balenaRootCA": STANDARD.encode(pem)});
    let error = device.join(&with(&others)).await.unwrap_err();
    assert!(
        chain(&error).contains("localhost is not trusted"),
        "{}",
        chain(&error)
    );
    assert_eq!(asked.lock().unwrap().len(), 0);
    device.join(&with(&pem)).await.unwrap();
    assert_eq!(device.config()["apiEndpoint"], json!(url));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn where_a_file_cannot_be_written_the_device_stays_in_its_fleet() {
    let (port, _) = cloud("200 OK", RECORDED, None).await;
    let before = json!({"uuid": "u", "apiEndpoint": "http://old.example", "deviceApiKey": "old"});
    let mut device = Device::new(&before);
    fs::create_dir_all(
        device
            .dir
            .path()
            .join("etc/openvpn/.openvpn.conf.new/below"),
    )
    .unwrap();
    fs::write(device.dir.path().join("etc/openvpn/ca.crt"), "old").unwrap();
    let error = device
        .join(&json!({"apiEndpoint": format!("http://127.0.0.1:{port}")}))
        .await
        .unwrap_err();
    assert!(
        chain(&error).contains("openvpn.conf failed"),
        "{}",
        chain(&error)
    );
    assert_eq!(device.config(), before);
    assert_eq!(device.text("etc/openvpn/ca.crt").unwrap(), "old");
    assert_eq!(
        device.said().last().unwrap(),
        "Starting balena-supervisor.service..."
    );
}

#[tokio::test]
async fn an_interrupted_change_is_completed_first() {
    let mut device = Device::new(&json!({"uuid": "u"}));
    let places = device.places();
    let joined = json!({"uuid": "u", "apiEndpoint": "http://a.example", "deviceApiKey": "k"});
    let config = config_write(joined.as_object().unwrap(), &places).unwrap();
    fs::create_dir_all(&places.state_dir).unwrap();
    drop(Transaction::begin(&OwnDisk, &places.state_dir, vec![config]).unwrap());
    device.run(&Deed::GenerateApiKey).await.unwrap();
    assert_eq!(
        device.said(),
        [
            "An interrupted change is completed",
            "`deviceApiKey` already generated"
        ]
    );
    assert_eq!(device.config(), joined);
    assert!(!finish_unless_busy(&places.state_dir).unwrap());
}

#[tokio::test]
async fn what_somebody_else_wrote_meanwhile_is_not_undone() {
    let device = Device::new(&json!({"uuid": "u"}));
    let places = device.places();
    let config = config_write(json!({"uuid": "v"}).as_object().unwrap(), &places).unwrap();
    let theirs = json!({"uuid": "u", "deviceId": 7});
    fs::write(&places.config_json, theirs.to_string()).unwrap();
    let mut said = Vec::new();
    let error = write_all(vec![config], &places, &mut Lines::new(&mut said)).unwrap_err();
    assert!(matches!(error, OsConfigError::Changed { .. }), "{error}");
    assert_eq!(device.config(), theirs);
}

#[tokio::test]
async fn a_broken_config_json_is_left_alone() {
    for (text, words) in [("{\"uuid\":", "it is not JSON"), ("", "it is empty")] {
        let mut device = Device::new(&json!({}));
        fs::write(device.dir.path().join("config.json"), text).unwrap();
        let error = device
            .join(&json!({"apiEndpoint": "http://127.0.0.1:1"}))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(device.text("config.json").unwrap(), text);
    }
}
