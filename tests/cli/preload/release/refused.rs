//! Clouds and registries that give nothing, and images that are for others.

use std::sync::{Arc, Mutex};

use serde_json::json;
use testkit::issuer::Issuer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::{BUILD, Image};
use super::{DEVICE, FLEET, Place, TOKEN, configure, joined};
use crate::USAGE;

#[tokio::test]
async fn a_registry_that_does_not_let_us_in_is_told_and_nothing_is_changed() {
    let place = Place::known().await;
    let (_registry, _) = place.registry().await;
    let image = Image::new(false, "amd64");
    let before = image.bytes();
    place.cloud.changes(|fleet| fleet.grants.clear());
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, DEVICE, "{refused}");
    assert!(
        refused
            .stderr
            .contains("does not let its registry give us 127.0.0.1:5000/v2/aaaa"),
        "{refused}"
    );
    // A token that the registry does not take.
    place.cloud.changes(|fleet| {
        fleet.grants = vec!["pull"];
        fleet.issuer = Issuer::default();
    });
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, DEVICE, "{refused}");
    assert!(
        refused.stderr.contains("the registry 127.0.0.1:5000"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("eyJ"), "{refused}");
    assert!(image.bytes() == before);
    image.is_alone();
}

#[tokio::test]
async fn an_image_for_others_is_refused_before_anything_is_fetched() {
    let place = Place::known().await;
    let image = Image::new(true, "amd64");
    let refused = async |words: &str, code: i32| {
        let before = image.bytes();
        let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
        assert_eq!(refused.code, code, "{refused}");
        assert!(refused.stderr.contains(words), "{refused}");
        assert!(!refused.stderr.contains("with images of"), "{refused}");
        assert!(image.bytes() == before);
    };
    let mut config = joined();
    config["applicationId"] = json!(13);
    configure(&image, &config);
    refused("the fleet with the number 13", USAGE).await;
    config = joined();
    config["apiEndpoint"] = json!("https://api.other.test");
    configure(&image, &config);
    refused("configured for https://api.other.test", USAGE).await;
    configure(&image, &joined());
    place
        .cloud
        .changes(|fleet| fleet.device_type.1 = "aarch64".to_owned());
    refused("those of ann/kitchen are aarch64", USAGE).await;
}

#[tokio::test]
async fn a_fleet_may_say_one_processor_and_its_images_have_another() {
    let place = Place::known().await;
    let (_registry, _) = place.registry().await;
    place
        .cloud
        .changes(|fleet| fleet.device_type.1 = "aarch64".to_owned());
    let image = Image::new(true, "aarch64");
    let before = image.bytes();
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, BUILD, "{refused}");
    for words in ["the image of api is for amd64", "configured for no fleet"] {
        assert!(refused.stderr.contains(words), "{refused}");
    }
    assert!(image.bytes() == before);
    let forced = ["--fleet", FLEET, "--dont-check-arch"];
    place.preload(&image.name(), &forced).await.success();
}

/// A registry that wants whoever comes to show what they have, to another one as well; it keeps what it hears.
async fn lure(listener: TcpListener, heard: Arc<Mutex<String>>) {
    let answer = "HTTP/1.1 401 Unauthorized\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\
        WWW-Authenticate: Bearer realm=\"http://127.0.0.1:5001/show\",service=\"127.0.0.1:5001\"\r\n\
        Connection: close\r\nContent-Length: 0\r\n\r\n";
    while let Ok((mut client, _)) = listener.accept().await {
        let mut request = vec![0; 64 << 10];
        let count = client.read(&mut request).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&request[..count]).into_owned();
        heard.lock().unwrap().push_str(&text);
        drop(client.write_all(answer.as_bytes()).await);
    }
}

#[tokio::test]
async fn a_registry_is_shown_the_token_for_its_image_and_never_that_of_the_cloud() {
    let place = Place::known().await;
    let at = "127.0.0.1:5001".parse().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let luring = tokio::spawn(lure(place.machine.listen(at).unwrap(), Arc::clone(&heard)));
    place.cloud.changes(|fleet| {
        for (_, image, _) in &mut fleet.releases[2].services {
            *image = image.replace(":5000/", ":5001/");
        }
    });
    let image = Image::new(true, "amd64");
    let refused = place.preload(&image.name(), &["--fleet", FLEET]).await;
    assert_eq!(refused.code, DEVICE, "{refused}");
    luring.abort();
    let heard = heard.lock().unwrap();
    let pair = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("os:{TOKEN}"));
    assert!(heard.contains("Bearer eyJ"), "{heard}");
    for secret in [TOKEN, &pair, "Basic "] {
        assert!(!heard.contains(secret), "{heard}");
    }
    let asked = place.cloud.asked();
    let granted = "/auth/v1/token?service=127.0.0.1%3A5001&scope=repository%3Av2%2Faaaa";
    assert!(asked.iter().any(|line| line.contains(granted)), "{asked:?}");
}
