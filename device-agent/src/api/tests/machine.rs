//! Routes about the machine, on devices that have less of one than a real device.

use axum::http::Method;

use super::*;
use crate::settings::MachinePlaces;

/// A device whose machine is an empty folder: no bus, no tunnel, no LED.
fn bare() -> Device {
    let device = device(None);
    let root = device.dir.path().to_owned();
    device.with_settings(|settings| {
        settings.machine = Some(MachinePlaces {
            config_json: root.join("boot/config.json"),
            bus: root.join("run/dbus/system_bus_socket"),
            led: Some(root.join("led")),
            root,
        });
    })
}

async fn send(device: &Device, method: Method, path: &str, body: &str) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let (status, _, body) = told(device.ask(request).await).await;
    (status, body)
}

#[tokio::test]
async fn a_simulated_device_has_no_machine_to_end_or_configure() {
    let device = device(Some(Confinement {
        namespace: "ab12cd3".to_owned(),
        address: "127.71.0.9".parse().unwrap(),
        allow_privileged: false,
    }));
    for path in ["/v1/reboot", "/v1/shutdown"] {
        let (status, body) = send(&device, Method::POST, path, "{}").await;
        assert_eq!(status, 500, "{path}");
        assert!(
            body.starts_with(r#"{"Data":"","Error":"this is a simulated device"#),
            "{body}"
        );
    }
    let name = r#"{"network":{"hostname":"other"}}"#;
    let (status, body) = send(&device, Method::PATCH, "/v1/device/host-config", name).await;
    assert_eq!(status, 503, "{body}");
    let (status, body) = send(&device, Method::POST, "/v2/journal-logs", "{}").await;
    assert!(
        (status, body.contains("simulated")) == (503, true),
        "{body}"
    );
    let (status, body) = send(&device, Method::GET, "/v2/device/vpn", "").await;
    assert_eq!((status, body.as_str()), (200, NO_VPN));
    assert_eq!(
        send(&device, Method::POST, "/v1/blink", "").await,
        (200, "OK".to_owned())
    );
}

const NO_VPN: &str = r#"{"status":"success","vpn":{"enabled":false,"connected":false}}"#;

#[tokio::test]
async fn a_machine_without_a_bus_says_so() {
    let device = bare();
    for path in ["/v1/reboot", "/v1/shutdown"] {
        let (status, body) = send(&device, Method::POST, path, "{}").await;
        assert_eq!(status, 500, "{path}");
        assert!(body.contains("there is no system bus at"), "{body}");
    }
    let (_, body) = send(&device, Method::GET, "/v2/device/vpn", "").await;
    assert_eq!(body, NO_VPN);
    let root = device.dir.path();
    fs_err::create_dir_all(root.join("run/openvpn/vpn_status")).unwrap();
    fs_err::write(root.join("run/openvpn/vpn_status/active"), "").unwrap();
    let (_, body) = send(&device, Method::GET, "/v2/device/vpn", "").await;
    assert_eq!(
        body,
        NO_VPN.replace(r#""connected":false"#, r#""connected":true"#)
    );
}

#[tokio::test]
async fn an_update_of_the_operating_system_is_not_disturbed_unless_forced() {
    let device = bare();
    let state = device.dir.path().join("mnt/state");
    fs_err::create_dir_all(&state).unwrap();
    for crumb in ["rollback-health-breadcrumb", "rollback-altboot-breadcrumb"] {
        fs_err::write(state.join(crumb), "").unwrap();
        let (status, body) = send(&device, Method::POST, "/v1/reboot", "{}").await;
        let words = r#"{"Data":"","Error":"Waiting for Host OS update to finish"}"#;
        assert_eq!((status, body.as_str()), (423, words));
        let (status, _) = send(&device, Method::POST, "/v1/reboot", r#"{"force":"on"}"#).await;
        assert_eq!(status, 500, "only the bus is missing");
        fs_err::remove_file(state.join(crumb)).unwrap();
    }
}

#[tokio::test]
async fn host_config_is_read_from_the_boot_partition_as_it_is_now() {
    let device = bare();
    let get = async || {
        send(&device, Method::GET, "/v1/device/host-config", "")
            .await
            .1
    };
    assert_eq!(get().await, r#"{"network":{"hostname":"peer-device"}}"#);
    let boot = device.dir.path().join("boot");
    fs_err::create_dir_all(boot.join("system-proxy")).unwrap();
    fs_err::write(boot.join("config.json"), r#"{"hostname":"kitchen"}"#).unwrap();
    let conf = "redsocks {\n type = socks5;\n ip = a.org;\n port = 1080;\n login = \"u\";\n}\n";
    fs_err::write(boot.join("system-proxy/redsocks.conf"), conf).unwrap();
    fs_err::write(boot.join("system-proxy/no_proxy"), "b\n").unwrap();
    assert_eq!(
        get().await,
        r#"{"network":{"proxy":{"type":"socks5","ip":"a.org","port":1080,"login":"u","noProxy":["b"]},"hostname":"kitchen"}}"#
    );
    for (body, status, words) in [
        ("{}", 200, "OK"),
        (r#"{"network":{}}"#, 200, "OK"),
        (r#"{"network":{"hostname":"two words"}}"#, 400, "hostname"),
        (r#"{"network":{"proxy":{"type":"socks6"}}}"#, 400, "type"),
    ] {
        let answer = send(&device, Method::PATCH, "/v1/device/host-config", body).await;
        assert!(
            answer.0 == status && answer.1.starts_with(words),
            "{body}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn what_needs_a_cloud_says_that_there_is_none() {
    let device = device(None);
    let words = r#"{"status":"failed","message":"Attempt to communicate with API, without initialized client"}"#;
    let path = "/v2/device/tags";
    let none = (500, words.to_owned());
    assert_eq!(send(&device, Method::GET, path, "").await, none);
    assert_eq!(
        send(&device, Method::PATCH, path, r#"{"a":"b"}"#).await,
        none
    );
    let no_tags = "Invalid tags body, must be an object like `{[tagKey: string]: string}`";
    for (wrong, words) in [
        (r#"{"a":7}"#, no_tags),
        (r#"{"a b":7}"#, no_tags),
        ("[]", no_tags),
        (r#"{"a b":"c"}"#, "Tag keys cannot contain whitespace"),
    ] {
        let words = format!(r#"{{"status":"failed","message":"{words}"}}"#);
        let answer = send(&device, Method::PATCH, path, wrong).await;
        assert_eq!(answer, (400, words), "{wrong}");
    }
}

#[tokio::test]
async fn a_form_says_the_same_as_json() {
    let mut device = device(None);
    device.calls = None;
    let form = "application/x-www-form-urlencoded";
    let (status, _, body) = device.post("/v1/restart", form, "force=true").await;
    assert_eq!((status, body.as_str()), (400, "Missing app id"));
    let (status, _, _) = device.post("/v1/restart", form, "appId=1&force=true").await;
    assert_eq!(status, 503, "the application was not read");
    // Half a target must not become an empty one.
    let (status, _, _) = device
        .post("/v2/local/target-state", form, "local[name]=x")
        .await;
    assert_eq!(status, 400);
    let many = "a=1&".repeat(1001);
    let (status, _, body) = device.post("/v1/restart", form, many).await;
    assert_eq!(status, 503);
    assert_eq!(
        body,
        r#"{"status":"failed","message":"too many parameters"}"#
    );
}

#[tokio::test]
async fn a_head_is_answered_like_its_page() {
    let device = device(None);
    for (path, status) in [("/ping", 200), ("/v2/version", 200), ("/nosuch", 404)] {
        let request = Request::head(path).body(Body::empty()).unwrap();
        assert_eq!(told(device.ask(request).await).await.0, status, "{path}");
    }
}
