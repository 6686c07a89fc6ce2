//! Images and versions of a cloud: the wire is that of the recorded exchanges (`wire/cloud/134`-`139`).

use testkit::distribution::{Fate, Proxy, Served};
use testkit::{Distribution, Workstation};

use super::{gzip, noise};

const HOST: &str = "api.cloud.test";
/// Of the cloud that is meant when none is named.
const USUAL: &str = "api.balena-cloud.com";

/// The API of a cloud with the versions of one type, of whose images there is one.
fn cloud(workstation: &mut Workstation, image: &[u8]) -> Distribution {
    let hosts = [HOST, USUAL];
    let server = Distribution::start_tls(&workstation.machine, "127.0.0.1:443", &hosts, false);
    let names = format!("echo 127.0.0.1 {HOST} {USUAL} >>/etc/hosts");
    workstation.machine.run("sh", &["-c", &names]);
    workstation.set("OSCLI_CLOUD_CA", server.authority());
    workstation.set("OSCLI_CLOUD", "cloud.test");
    let release = |version: &str| serde_json::json!({"id": 2, "raw_version": version, "is_final": true, "release_tag": []});
    let versions = serde_json::json!({"d": [
        {"id": 1, "application_tag": [], "owns__release": [release("6.5.0"), release("6.4.2+rev1"), release("6.5.0+rev2")]},
        {"id": 2, "application_tag": [{"tag_key": "release-policy", "value": "esr"}, {"tag_key": "esr-current", "value": "2026.7.x"}],
         "owns__release": [release("2026.7.0"), release("2026.4.1")]},
    ]});
    let types = serde_json::json!([
        {"slug": "raspberrypi4-64", "aliases": ["rpi4"], "arch": "aarch64"}, {"slug": "generic-amd64"},
    ]);
    server.put("v7/application", Served::new(r#"{"d":[]}"#));
    server.put("device-types/v1", Served::new(types.to_string()));
    for with_drafts in [false, true] {
        let path = asked_for("raspberrypi4-64", with_drafts);
        server.put(&path, Served::new(versions.to_string()));
    }
    server.put(
        "download?deviceType=raspberrypi4-64&version=6.5.0%2Brev2&fileType=.gz",
        Served::new(image.to_vec()),
    );
    server
}

/// The path that asks for the versions of a type.
fn asked_for(slug: &str, with_drafts: bool) -> String {
    let path = os_cli::cloud::os_versions::path(slug, with_drafts);
    path.trim_start_matches('/').to_owned()
}

#[tokio::test]
async fn versions_are_listed_for_whoever_comes() {
    let mut workstation = Workstation::new(None);
    let server = cloud(&mut workstation, b"");
    let listed = workstation.os(&["versions", "rpi4"]).await;
    listed.success();
    assert_eq!(listed.stdout, "6.5.0+rev2\n6.5.0\n6.4.2+rev1\n");
    let esr = workstation
        .os(&["versions", "raspberrypi4-64", "--esr"])
        .await;
    assert_eq!(esr.stdout, "2026.7.0 (current)\n2026.4.1\n");
    let unknown = workstation.os(&["versions", "raspberypi4-64"]).await;
    assert_eq!(unknown.code, 2, "{unknown}");
    assert!(
        unknown.stderr.contains("did you mean raspberrypi4-64?"),
        "{unknown}"
    );
    let asked = server.asked("device-types/v1");
    assert!(!asked[0].fields.contains_key("authorization"), "{asked:?}");
    // Something else than a cloud.
    server.remove("device-types/v1");
    let none = workstation.os(&["versions", "raspberypi4-64"]).await;
    assert_eq!(none.code, 4, "{none}");
    assert!(
        none.stderr
            .contains("does not look like the API of a cloud")
            && none.stderr.contains("OSCLI_CLOUD="),
        "{none}"
    );
}

#[tokio::test]
async fn the_image_of_a_version_is_fetched_once_with_the_token_of_its_cloud() {
    let mut workstation = Workstation::new(None);
    let bytes = noise(500_000, 1);
    let packed = gzip(&workstation, &bytes);
    let server = cloud(&mut workstation, &packed);
    workstation.set("OSCLI_TOKEN", "token-of-ann");
    for version in [&["--version", "^6.4"][..], &[]] {
        let arguments = [&["download", "rpi4", "--force"], version].concat();
        let output = workstation.os(&arguments).await;
        output.success();
        assert!(!output.stderr.contains("token-of-ann"), "{output}");
    }
    let image = workstation.home().join("raspberrypi4-64-6.5.0+rev2.img");
    assert!(fs_err::read(image).expect("an image") == bytes);
    let asked = server.asked("download");
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].fields["authorization"], "Bearer token-of-ann");
    let none = workstation
        .os(&["download", "rpi4", "--version", "7.0.0"])
        .await;
    assert_eq!(none.code, 2, "{none}");
    assert!(
        none.stderr.contains("os versions raspberrypi4-64"),
        "{none}"
    );
    // As an open cloud, which has versions and no images.
    let missing = workstation
        .os(&[
            "download",
            "rpi4",
            "--version",
            "6.5.0",
            "--type",
            "disk-image",
        ])
        .await;
    assert_eq!(missing.code, 1, "{missing}");
    assert!(
        server
            .asked("download")
            .last()
            .expect("a request")
            .path
            .ends_with("&imageType=raw")
    );
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_no_reason_not_to_ask_without() {
    let mut workstation = Workstation::new(None);
    let bytes = noise(300_000, 2);
    let packed = gzip(&workstation, &bytes);
    let server = cloud(&mut workstation, &packed);
    workstation.set("OSCLI_TOKEN", "an-old-token");
    let refused = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let path = asked_for("raspberrypi4-64", false);
    server.fate(&path, [Fate::Says(refused.to_owned())]);
    let output = workstation.os(&["download", "raspberrypi4-64"]).await;
    output.success();
    assert!(
        output.stderr.contains("does not take the token"),
        "{output}"
    );
    let asked = server.asked("download");
    assert!(!asked[0].fields.contains_key("authorization"), "{asked:?}");
}

#[tokio::test]
async fn a_kept_token_that_cannot_be_read_ends_only_what_needs_one() {
    let mut workstation = Workstation::new(None);
    let bytes = noise(300_000, 6);
    let packed = gzip(&workstation, &bytes);
    let server = cloud(&mut workstation, &packed);
    workstation.write(".balenarc.yml", "balenaUrl: cloud.test\n");
    workstation.write(".balena/token", "of ann");
    let output = workstation.os(&["download", "raspberrypi4-64"]).await;
    output.success();
    let image = workstation.home().join("raspberrypi4-64-6.5.0+rev2.img");
    assert!(fs_err::read(image).expect("an image") == bytes);
    let kept = ".balena/token holds no token";
    assert!(output.stderr.contains(kept), "{output}");
    let asked = server.asked("download");
    assert!(!asked[0].fields.contains_key("authorization"), "{asked:?}");
    // A cloud that does not let in whoever comes.
    let refused = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    let path = asked_for("raspberrypi4-64", false);
    for (token, code, words) in [
        ("of ann", 2, [kept, "OSCLI_TOKEN"]),
        ("", 4, ["lets in nobody without a token", "OSCLI_TOKEN"]),
    ] {
        if token.is_empty() {
            fs_err::remove_file(workstation.home().join(".balena/token")).expect("a file");
        }
        server.fate(&path, [Fate::Says(refused.to_owned())]);
        let output = workstation.os(&["versions", "raspberrypi4-64"]).await;
        assert_eq!(output.code, code, "{output}");
        for word in words {
            assert!(output.stderr.contains(word), "{output}");
        }
        assert!(!output.stderr.contains("of ann"), "{output}");
    }
    // What lies elsewhere has nothing to do with it.
    let elsewhere = Distribution::start(&workstation.machine, "127.0.0.1:8080");
    elsewhere.put("os.img", Served::new(bytes));
    workstation.write(".balena/token", "of ann");
    let url = elsewhere.url("os.img");
    let output = workstation.os(&["download", &url]).await;
    output.success();
    assert!(!output.stderr.contains("token"), "{output}");
}

#[tokio::test]
async fn a_kept_token_goes_to_the_usual_cloud_only_where_that_is_named() {
    let mut workstation = Workstation::new(None);
    let packed = gzip(&workstation, &noise(300_000, 5));
    let server = cloud(&mut workstation, &packed);
    workstation.write(".balena/token", "token-of-ann");
    for (named, sent) in [
        ("", None),
        ("balena-cloud.com", Some("Bearer token-of-ann")),
    ] {
        workstation.set("OSCLI_CLOUD", named);
        server.forget();
        for arguments in [&["versions", "rpi4"][..], &["download", "rpi4", "--force"]] {
            workstation.os(arguments).await.success();
        }
        let mut asked = server.asked("device-types/v1");
        asked.extend(server.asked("download"));
        assert!(asked.len() >= 2, "{asked:?}");
        for one in asked {
            let had = one.fields.get("authorization").map(String::as_str);
            assert_eq!((had, &*one.fields["host"]), (sent, USUAL), "{one:?}");
        }
    }
}

#[tokio::test]
async fn who_wants_a_signature_gets_no_image_of_a_cloud_that_signs_nothing() {
    let mut workstation = Workstation::new(None);
    let packed = gzip(&workstation, &noise(300_000, 3));
    let server = cloud(&mut workstation, &packed);
    workstation.write("ann.gpg", "");
    for _ in 0..2 {
        let output = workstation
            .os(&["download", "rpi4", "--keyring", "ann.gpg"])
            .await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains("no signed list"), "{output}");
        assert!(server.asked("download").is_empty());
        workstation.os(&["download", "rpi4"]).await.success();
        let image = workstation.home().join("raspberrypi4-64-6.5.0+rev2.img");
        fs_err::remove_file(image).expect("an image");
        // What was fetched before was signed by nobody, too.
        server.forget();
    }
}

#[tokio::test]
async fn a_cloud_names_no_file_outside_of_where_we_are() {
    let mut workstation = Workstation::new(None);
    let packed = gzip(&workstation, &noise(300_000, 4));
    let server = cloud(&mut workstation, &packed);
    let slug = "../outside/x";
    fs_err::create_dir(workstation.machine.dir().join("outside")).expect("a folder");
    let types = serde_json::json!([{"slug": slug, "aliases": ["evil"]}, {"slug": "evil-board"}]);
    server.put("device-types/v1", Served::new(types.to_string()));
    let versions = serde_json::json!({"d": [{"owns__release": [{"raw_version": "6.5.0"}]}]});
    server.put(&asked_for(slug, false), Served::new(versions.to_string()));
    server.put("download", Served::new(packed));
    let output = workstation.os(&["download", "evil"]).await;
    assert_eq!(output.code, 2, "{output}");
    assert!(
        output.stderr.contains("did you mean evil-board?"),
        "{output}"
    );
    let outside = fs_err::read_dir(workstation.machine.dir().join("outside"));
    assert_eq!(outside.expect("a folder").count(), 0);
}

#[tokio::test]
async fn versions_and_images_come_by_way_of_the_proxy() {
    let mut workstation = Workstation::new(None);
    let bytes = noise(300_000, 5);
    let packed = gzip(&workstation, &bytes);
    let server = cloud(&mut workstation, &packed);
    // Nobody answers at the name but by the proxy.
    let names = format!("sed /{HOST}/d /etc/hosts >hosts && cat hosts >/etc/hosts");
    workstation.machine.run("sh", &["-c", &names]);
    let proxy = Proxy::start(&workstation.machine, "127.0.0.1:8088", server.address);
    let without = workstation.os(&["versions", "rpi4"]).await;
    assert_eq!(without.code, 4, "{without}");
    workstation.set("https_proxy", "http://ann:secret@127.0.0.1:8088");
    workstation.os(&["versions", "rpi4"]).await.success();
    workstation.os(&["download", "rpi4"]).await.success();
    let image = workstation.home().join("raspberrypi4-64-6.5.0+rev2.img");
    assert!(fs_err::read(image).expect("an image") == bytes);
    let asked = proxy.asked();
    assert!(asked.len() >= 3, "{asked:?}");
    for one in asked {
        assert_eq!(one.path, format!("{HOST}:443"));
        assert_eq!(one.fields["proxy-authorization"], "Basic YW5uOnNlY3JldA==");
    }
    workstation.set("no_proxy", "cloud.test");
    let past = workstation.os(&["versions", "rpi4"]).await;
    assert_eq!(past.code, 4, "{past}");
    // One that lets nobody through.
    workstation.set("no_proxy", "");
    workstation.set("https_proxy", "http://ann:secret@127.0.0.1:8089");
    let refusing = Distribution::start(&workstation.machine, "127.0.0.1:8089");
    let refused = workstation.os(&["versions", "rpi4"]).await;
    assert_eq!(refused.code, 4, "{refused}");
    assert!(
        refused.stderr.contains("127.0.0.1:8089") && refused.stderr.contains("404"),
        "{refused}"
    );
    assert!(!refused.stderr.contains("secret"), "{refused}");
    drop(refusing);
}
