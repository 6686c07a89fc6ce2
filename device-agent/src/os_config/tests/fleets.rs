use serde_json::json;

use super::super::ask::pause;
use super::*;

#[tokio::test]
async fn a_device_joins_and_leaves_in_the_words_of_the_reference() {
    let (port, asked) = cloud("200 OK", RECORDED, None).await;
    let url = format!("http://127.0.0.1:{port}");
    let mut device = Device::new(&json!({"uuid": "u", "hostname": "kitchen"}));
    device
        .join(&json!({"apiEndpoint": url, "apiKey": "p", "userId": 7}))
        .await
        .unwrap();
    assert_eq!(
        device.said(),
        [
            &format!("Fetching service configuration from {url}/os/v1/config..."),
            "Service configuration retrieved",
            "Stopping balena-supervisor.service...",
            "Awaiting balena-supervisor.service to exit...",
            "Stopping prepare-openvpn.service...",
            "Stopping openvpn.service...",
            "Awaiting prepare-openvpn.service to exit...",
            "Awaiting openvpn.service to exit...",
            "Writing /config.json",
            "/etc/openvpn/ca.crt updated",
            "/etc/openvpn/openvpn.conf updated",
            "Starting prepare-openvpn.service...",
            "Starting openvpn.service...",
            "Starting balena-supervisor.service...",
        ]
    );
    let question = asked.lock().unwrap().join("");
    assert!(
        question.starts_with("GET /os/v1/config HTTP/1.1\r\n"),
        "{question}"
    );
    assert!(
        !question.to_ascii_lowercase().contains("authorization"),
        "{question}"
    );
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let of_cloud = |name: &str| {
        recorded["services"]["openvpn"][name]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(device.text("etc/openvpn/openvpn.conf"), of_cloud("config"));
    assert_eq!(device.text("etc/openvpn/ca.crt"), of_cloud("ca"));
    let config = device.config();
    let key = config["deviceApiKey"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 32);
    assert_eq!(
        config,
        json!({
            "uuid": "u", "hostname": "kitchen", "apiEndpoint": url, "apiKey": "p", "userId": 7,
            "deviceApiKey": key, "deviceApiKeys": {format!("127.0.0.1:{port}"): key}
        })
    );
    device.run(&Deed::Update).await.unwrap();
    assert_eq!(device.said().last().unwrap(), "No configuration changes");
    // Now the cloud may know the key.
    let question = asked.lock().unwrap().last().cloned().unwrap();
    assert!(
        question.contains(&format!("Bearer {key}\r\n")),
        "{question}"
    );
    leaves(&mut device, &url, &key).await;
}

/// Leaves the fleet that it is in, and comes back.
async fn leaves(device: &mut Device, url: &str, key: &str) {
    let host = url.trim_start_matches("http://").to_owned();
    device.run(&Deed::Leave).await.unwrap();
    assert_eq!(
        device.said(),
        [
            "Deleting config.json keys",
            "Stopping balena-supervisor.service...",
            "Awaiting balena-supervisor.service to exit...",
            "Writing /config.json",
            "/etc/openvpn/ca.crt deleted",
            "/etc/openvpn/openvpn.conf deleted",
            "Reloading or restarting prepare-openvpn.service...",
            "Reloading or restarting openvpn.service...",
            "Starting balena-supervisor.service...",
        ]
    );
    assert_eq!(
        device.config(),
        json!({
            "uuid": "u", "hostname": "kitchen", "userId": 7, "deviceApiKeys": {host: key}
        })
    );
    assert_eq!(device.text("etc/openvpn/openvpn.conf"), None);
    device.run(&Deed::Leave).await.unwrap();
    assert_eq!(device.said(), ["Unconfigured device. Exiting..."]);
    device.run(&Deed::Update).await.unwrap();
    assert_eq!(device.said(), ["Unconfigured device. Exiting..."]);
    // The same key for the same cloud.
    device.join(&json!({"apiEndpoint": url})).await.unwrap();
    assert_eq!(device.config()["deviceApiKey"], json!(key));
    assert_eq!(
        fs::read_dir(device.dir.path().join("state"))
            .unwrap()
            .count(),
        1,
        "but for the lock nothing is left"
    );
}

#[tokio::test]
async fn keys_are_generated_in_the_words_of_the_reference() {
    let mut device = Device::new(&json!({"uuid": "u"}));
    device.run(&Deed::GenerateApiKey).await.unwrap();
    assert_eq!(device.said(), ["Unconfigured device"]);
    let mut device = Device::new(&json!({"z": 1, "apiEndpoint": "https://a.example", "a": 2}));
    device.run(&Deed::GenerateApiKey).await.unwrap();
    assert_eq!(
        device.said(),
        ["New `deviceApiKey` generated", "Writing /config.json"]
    );
    device.run(&Deed::GenerateApiKey).await.unwrap();
    assert_eq!(device.said(), ["`deviceApiKey` already generated"]);
    let mut device = Device::new(
        &json!({"apiEndpoint": "https://a.example", "deviceApiKeys": {"a.example": "k"}}),
    );
    device.run(&Deed::GenerateApiKey).await.unwrap();
    assert_eq!(device.said()[0], "Reusing stored `deviceApiKey`");
    assert_eq!(device.config()["deviceApiKey"], json!("k"));
}

#[test]
fn questions_come_at_the_references_intervals() {
    let mut waited = 0;
    let mut pauses = Vec::new();
    while waited < 400 {
        pauses.push(pause(waited));
        waited += pause(waited);
    }
    let count = |seconds: u64| pauses.iter().filter(|pause| **pause == seconds).count();
    assert_eq!([1, 2, 5, 10, 30].map(count), [10, 10, 6, 24, 4]);
}
#[tokio::test]
async fn who_waits_for_a_silent_cloud_keeps_nobody_from_joining_another() {
    let (port, _) = cloud("200 OK", RECORDED, None).await;
    let mut device = Device::new(&json!({"uuid": "u", "apiEndpoint": "http://127.0.0.1:1"}));
    let places = device.places();
    let mut said = Vec::new();
    let mut lines = Lines::new(&mut said);
    let url = format!("http://127.0.0.1:{port}");
    let input = json!({"apiEndpoint": url});
    tokio::select! {
        biased;
        updated = run(&Deed::Update, &places, &mut lines) => panic!("nobody is there: {updated:?}"),
        joined = device.join(&input) => joined.unwrap(),
    }
    assert_eq!(device.config()["apiEndpoint"], json!(url));
}
