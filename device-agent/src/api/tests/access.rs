//! Who gets an answer from which route, with which key, on which device.

use axum::http::Method;

use super::*;
use crate::model::Secret;

/// Every route that there is for anybody, with what its answer hangs on.
const ROUTES: [(Method, &str, Kind); 50] = {
    use Kind::{App, Device, Hidden, Open, Ours, OursHidden, OursOfApp, V1App};
    [
        (Method::GET, "/ping", Open),
        (Method::GET, "/v1/healthy", Open),
        (Method::POST, "/v1/blink", Device),
        (Method::POST, "/v1/regenerate-api-key", Device),
        (Method::POST, "/v1/restart", App),
        (Method::POST, "/v1/purge", App),
        (Method::POST, "/v1/update", Device),
        (Method::POST, "/v1/reboot", Device),
        (Method::POST, "/v1/shutdown", Device),
        (Method::GET, "/v1/apps/1", App),
        (Method::POST, "/v1/apps/1/stop", V1App),
        (Method::POST, "/v1/apps/1/start", V1App),
        (Method::GET, "/v1/device", Device),
        (Method::GET, "/v1/device/host-config", Device),
        (Method::PATCH, "/v1/device/host-config", Device),
        (Method::GET, "/v2/version", Device),
        (Method::GET, "/v2/containerId", Device),
        (Method::GET, "/v2/state/status", Device),
        (Method::GET, "/v2/device/name", Device),
        (Method::GET, "/v2/device/tags", Device),
        (Method::PATCH, "/v2/device/tags", Device),
        (Method::GET, "/v2/device/vpn", Device),
        (Method::GET, "/v2/cleanup-volumes", Device),
        (Method::POST, "/v2/journal-logs", Device),
        (Method::GET, "/v2/applications/state", Device),
        (Method::GET, "/v2/applications/1/state", Hidden),
        (Method::POST, "/v2/applications/1/restart", App),
        (Method::POST, "/v2/applications/1/purge", App),
        (Method::POST, "/v2/applications/1/restart-service", App),
        (Method::POST, "/v2/applications/1/stop-service", App),
        (Method::POST, "/v2/applications/1/start-service", App),
        (Method::GET, "/v2/local/target-state", Device),
        (Method::POST, "/v2/local/target-state", Device),
        (Method::GET, "/v2/local/device-info", Device),
        (Method::GET, "/v2/local/logs", Device),
        (Method::GET, "/os/v1/info", OursOfApp),
        (Method::GET, "/os/v1/report", Ours),
        (Method::GET, "/os/v1/logs", Ours),
        (Method::POST, "/os/v1/target-state", Ours),
        (Method::POST, "/os/v1/restart", OursHidden),
        (Method::POST, "/os/v1/stop", OursHidden),
        (Method::POST, "/os/v1/start", OursHidden),
        (Method::POST, "/os/v1/purge", OursHidden),
        (Method::POST, "/os/v1/plan", Ours),
        (Method::GET, "/os/v1/disk", Ours),
        (Method::GET, "/os/v1/local-mode", Ours),
        (Method::PUT, "/os/v1/local-mode", Ours),
        (Method::GET, "/nosuch", Device),
        (Method::GET, "/os/nosuch", Ours),
        (Method::POST, "/ping", Open),
    ]
};

/// Routes for root on the device, which do not come by TCP.
const PROVISIONING: [(Method, &str); 2] = [
    (Method::GET, "/os/v1/key"),
    (Method::POST, "/os/v1/fleet/target-state"),
];

/// Methods and paths that the API's own text has, for the application 1.
fn written() -> Vec<(String, String)> {
    let mut routes = Vec::new();
    for route in include_str!("../mod.rs").split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap().replace("{app}", "1");
        let methods = route.split("\n}").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if methods.contains(&format!("{method}(")) {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    routes
}

#[test]
fn no_route_is_missing_here() {
    let known = ROUTES.into_iter().map(|(method, path, _)| (method, path));
    let known = known.chain(PROVISIONING);
    let known: Vec<(String, String)> = known
        .map(|(method, path)| (method.to_string(), path.to_owned()))
        .collect();
    let written = written();
    for route in &written {
        assert!(known.contains(route), "{route:?}");
    }
    // Three are there to be found nowhere.
    assert_eq!(written.len() + 3, known.len());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Open,
    /// Whether the key is any that the device gave away.
    Device,
    /// Whether the key is for this application; refused in the envelope.
    App,
    /// The same; refused with a word.
    V1App,
    /// The same; to who has no key for it it is as one that does not exist.
    Hidden,
    /// Whether the key is the device's own.
    Ours,
    /// Whether the key is any; ours, so refused in our terms.
    OursOfApp,
    /// Whether the key is for this application; to who has no key for it it is as one that does not exist.
    OursHidden,
}

const FLEET: Place = Place {
    confinement: None,
    managed: true,
};

fn with_keys(place: Place) -> Device {
    let mut device = device_in(place);
    // Nobody carries anything out: who is let in gets an answer at once.
    device.calls = None;
    let secret = |text: &str| Secret::new(text.to_owned());
    let services = [(1, "web", "one"), (2, "web", "two")];
    let services = services.map(|(app, name, key)| ((app, name.to_owned()), secret(key)));
    device.keys.send_replace(ApiKeys {
        device: Some(secret("device")),
        services: services.into(),
    });
    device
}

/// A target with two applications.
const TWO_APPS: &str = r#"{"local":{"apps":{
    "1":{"name":"a","commit":"c","releaseId":1,"services":{
        "1":{"imageId":1,"serviceName":"web","image":"a","environment":{},"labels":{}}}},
    "2":{"name":"b","commit":"c","releaseId":1,"services":{
        "2":{"imageId":2,"serviceName":"web","image":"b","environment":{},"labels":{}}}}}}}"#;

/// Status and body of an answer, as far as it is there at once: streams go on.
async fn asked(way: Router, method: Method, path: &str, key: Option<&str>) -> (u16, String) {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    let body = Body::from(r#"{"appId":1,"serviceName":"web","app_id":1}"#);
    let answer = way.oneshot(request.body(body).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    if status != 401 {
        return (status, String::new());
    }
    let (status, _, body) = told(answer).await;
    (status, body)
}

#[tokio::test]
async fn a_device_of_a_fleet_answers_who_has_a_key() {
    const ENVELOPE: &str = r#"{"status":"failed","message":"Unauthorized"}"#;
    let device = with_keys(FLEET);
    let path = "/os/v1/fleet/target-state";
    let (status, _, body) = device.post(path, "application/json", TWO_APPS).await;
    assert_eq!(status, 200, "{body}");
    for (method, path, kind) in ROUTES {
        let ask = async |key| {
            let way = routers(&device.agent).tcp;
            asked(way, method.clone(), path, key).await
        };
        for key in [None, Some("wrong")] {
            let (status, body) = ask(key).await;
            match kind {
                Kind::Open => assert_ne!(status, 401, "{path}"),
                Kind::Ours | Kind::OursOfApp | Kind::OursHidden => {
                    assert_eq!(status, 401, "{path}");
                    assert!(
                        body.starts_with(r#"{"code":"unauthorized""#),
                        "{path} {body}"
                    );
                }
                _ => assert_eq!((status, body.as_str()), (401, "Unauthorized"), "{path}"),
            }
        }
        assert_ne!(ask(Some("device")).await.0, 401, "{path}");
        let own = ask(Some("one")).await.0;
        assert_eq!(own == 401, kind == Kind::Ours, "{method} {path}: {own}");
        if kind == Kind::OursHidden {
            assert_eq!(own, 503, "{path}: nobody carries it out");
        }
        let (other, body) = ask(Some("two")).await;
        match kind {
            Kind::App if path == "/v1/apps/1" => {
                let words = ENVELOPE.replace("Unauthorized", "Application is not available");
                assert_eq!((other, body), (401, words), "{path}");
            }
            Kind::App => assert_eq!((other, body.as_str()), (401, ENVELOPE), "{path}"),
            Kind::V1App => assert_eq!((other, body.as_str()), (401, "Unauthorized"), "{path}"),
            Kind::Ours => assert_eq!(other, 401, "{path}"),
            Kind::Hidden => assert_eq!((own, other), (200, 409), "{path}"),
            Kind::OursHidden => assert_eq!(other, 404, "{path}"),
            Kind::Open | Kind::Device | Kind::OursOfApp => assert_ne!(other, 401, "{path}"),
        }
    }
}

#[tokio::test]
async fn a_device_in_local_mode_and_one_of_no_fleet_are_open() {
    let unmanaged = with_keys(Place {
        managed: false,
        ..FLEET
    });
    let local = with_keys(FLEET);
    let began = local
        .agent
        .store
        .change(|store| store.begin_session(Inventory::default()));
    assert!(began.await.unwrap().is_local());
    for device in [unmanaged, local] {
        for (method, path, _) in ROUTES {
            for key in [None, Some("wrong"), Some("two")] {
                let way = routers(&device.agent).tcp;
                let (status, _) = asked(way, method.clone(), path, key).await;
                assert_ne!(status, 401, "{path} {key:?}");
            }
        }
    }
}

#[tokio::test]
async fn root_on_the_device_needs_no_key_and_others_on_its_socket_do() {
    let device = with_keys(FLEET);
    let ways = routers(&device.agent);
    for (method, path, kind) in ROUTES {
        let (status, _) = asked(ways.trusted.clone(), method.clone(), path, None).await;
        assert_ne!(status, 401, "{path}");
        let (status, _) = asked(ways.unix.clone(), method, path, None).await;
        assert_eq!(status == 401, kind != Kind::Open, "{path}");
    }
    for ((method, path), answered) in PROVISIONING.into_iter().zip([503, 400]) {
        let ask = |way: &Router, key| asked(way.clone(), method.clone(), path, key);
        assert_eq!(ask(&ways.trusted, None).await.0, answered, "{path}");
        assert_eq!(ask(&ways.tcp, Some("device")).await.0, 404, "{path}");
        assert_eq!(ask(&ways.unix, Some("device")).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_opens_nothing_that_is_not_open() {
    let device = with_keys(FLEET);
    let ask = async |path: &'static str, key| {
        asked(routers(&device.agent).tcp, Method::GET, path, key)
            .await
            .0
    };
    assert_eq!(ask("/ping/", None).await, 200);
    for path in ["/v2/version/", "/v1/device/", "/os/v1/report/", "/nosuch/"] {
        assert_eq!(ask(path, None).await, 401, "{path}");
    }
    assert_eq!(ask("/v2/version/", Some("one")).await, 200);
}

#[tokio::test]
async fn lists_hold_what_the_key_is_for() {
    let device = with_keys(FLEET);
    let other = ContainerStatus {
        app_id: 2,
        ..container("other", "18fa", 2)
    };
    device.publish(vec![container("web", "3567", 1), other], Vec::new());
    for (key, body) in [
        ("one", r#"{"status":"success","services":{"web":"3567"}}"#),
        ("two", r#"{"status":"success","services":{"other":"18fa"}}"#),
        (
            "device",
            r#"{"status":"success","services":{"other":"18fa","web":"3567"}}"#,
        ),
    ] {
        let request = Request::get(format!("/v2/containerId?apikey={key}"));
        let request = request.body(Body::empty()).unwrap();
        let answer = routers(&device.agent).tcp.oneshot(request).await.unwrap();
        assert_eq!(told(answer).await.2, body, "{key}");
        let request = Request::get(format!("/v2/state/status?apikey={key}"));
        let request = request.body(Body::empty()).unwrap();
        let answer = routers(&device.agent).tcp.oneshot(request).await.unwrap();
        let status = told(answer).await.2;
        assert_eq!(status.contains("3567"), key != "two", "{status}");
        // Of several applications the first is told.
        assert_eq!(status.contains("18fa"), key == "two", "{status}");
    }
}
