//! What was fetched before.

use testkit::distribution::Served;
use testkit::{Distribution, Workstation};

use super::{image_is, noise, sha256};

const AT: &str = "127.0.0.1:8080";

fn kept(workstation: &Workstation) -> Vec<std::path::PathBuf> {
    let folder = workstation.home().join(".cache/os/images");
    let listed = fs_err::read_dir(folder).expect("a cache");
    let paths = listed.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_dir()).collect()
}

#[tokio::test]
async fn it_is_used_as_long_as_it_is_whole_and_the_newest() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (bytes, newer) = (noise(500_000, 1), noise(500_000, 2));
    server.put("os.img", Served::new(bytes.clone()));
    let url = server.url("os.img");
    let download = ["download", url.as_str(), "--force"];
    workstation.os(&download).await.success();
    let again = workstation.os(&download).await;
    again.success();
    assert!(again.stderr.contains("was fetched before"), "{again}");
    assert_eq!(server.asked("os.img").len(), 2);
    // One bit on the disk.
    let path = kept(&workstation)[0].join("image");
    let mut damaged = bytes.clone();
    damaged[250_000] ^= 1;
    fs_err::write(&path, &damaged).expect("a file");
    let repaired = workstation.os(&download).await;
    repaired.success();
    assert!(repaired.stderr.contains("is damaged"), "{repaired}");
    image_is(&workstation, &bytes);
    // Another one on the server, known by its tag, or by a list.
    let mut file = Served::new(newer.clone());
    file.tag = Some("\"second\"".to_owned());
    server.put("os.img", file);
    workstation.os(&download).await.success();
    image_is(&workstation, &newer);
    server.put("os.img", Served::new(bytes.clone()));
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    server.put("SHA256SUMS", Served::new(list));
    workstation.os(&download).await.success();
    image_is(&workstation, &bytes);
    // Nobody is there to ask.
    drop(server);
    let alone = workstation.os(&download).await;
    alone.success();
    assert!(alone.stderr.contains("cannot be asked"), "{alone}");
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn of_what_a_former_version_has_fetched_no_more_is_said_than_is_known() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 5);
    server.put("os.img", Served::new(bytes.clone()));
    let url = server.url("os.img");
    let line = ["download", url.as_str(), "--force", "--json"];
    let told = async |is_certain: bool| {
        let output = workstation.os(&line).await;
        output.success();
        let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
        assert_eq!(value["unproven"], !is_certain, "{output}");
        let says_so = output.stderr.contains("a former version of os");
        assert_eq!(says_so, !is_certain, "{output}");
        assert!(!output.stderr.contains("did not tell"), "{output}");
        image_is(&workstation, &bytes);
        value["cached"] == true
    };
    assert!(!told(true).await);
    assert!(told(true).await);
    let path = kept(&workstation)[0].join("about.json");
    let about = fs_err::read(&path).expect("a file");
    let mut about: serde_json::Value = serde_json::from_slice(&about).expect("JSON");
    let fields = about.as_object_mut().expect("fields");
    for name in ["end", "is_unproven"] {
        fields.remove(name).expect("a field");
    }
    fs_err::write(&path, about.to_string()).expect("a file");
    assert!(told(false).await);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    server.put("SHA256SUMS", Served::new(list));
    assert!(told(true).await);
}

#[tokio::test]
async fn it_has_a_limit_and_is_cleaned() {
    let mut workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    workstation.set("OSCLI_CACHE_LIMIT", "1MB");
    for (name, seed) in [("a.img", 1), ("b.img", 2), ("c.img", 3)] {
        server.put(name, Served::new(noise(400_000, seed)));
        workstation
            .os(&["download", &server.url(name)])
            .await
            .success();
    }
    let listed = workstation.os(&["cache", "list", "--json"]).await;
    let names: Vec<String> = listed
        .stdout
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(value["whole"], true, "{value}");
            value["name"].as_str().expect("a name").to_owned()
        })
        .collect();
    assert_eq!(names.len(), 2, "{listed}");
    assert!(
        names[0].starts_with("c.img-") && names[1].starts_with("b.img-"),
        "{names:?}"
    );
    workstation.os(&["cache", "clean", "b.img"]).await.success();
    assert_eq!(kept(&workstation).len(), 1);
    let unknown = workstation.os(&["cache", "clean", "b.img"]).await;
    assert_eq!(unknown.code, 2, "{unknown}");
    workstation.os(&["cache", "clean"]).await.success();
    assert_eq!(kept(&workstation).len(), 0);
    workstation.set("OSCLI_CACHE_LIMIT", "much");
    let wrong = workstation.os(&["cache", "list"]).await;
    assert_eq!(wrong.code, 2, "{wrong}");
}

#[tokio::test]
async fn two_commands_fetch_it_once() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(3_000_000, 4);
    let stall = [testkit::distribution::Fate::Stall(1_000_000)];
    server.put("os.img", Served::new(bytes.clone()).fated(stall));
    let url = server.url("os.img");
    let first = workstation.start(&["download", &url, "--patience", "2", "-o", "one.img"]);
    testkit::until("it is asked", async || {
        (!server.asked("os.img").is_empty()).then_some(())
    })
    .await;
    let second = workstation.start(&["download", &url]);
    let (first, second) = (first.output().await, second.output().await);
    first.success();
    second.success();
    assert!(second.stderr.contains("waiting"), "{second}");
    image_is(&workstation, &bytes);
    // Asked, asked anew, and asked whether it has changed.
    assert_eq!(server.asked("os.img").len(), 3);
}

#[tokio::test]
async fn a_server_that_knows_no_conditions_need_not_send_it_again() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(500_000, 5);
    server.put("os.img", Served::new(bytes.clone()));
    let url = server.url("os.img");
    workstation.os(&["download", &url]).await.success();
    let whole = "HTTP/1.1 200 OK\r\nETag: \"first\"\r\nContent-Length: 500000\r\n\r\n";
    server.fate(
        "os.img",
        [testkit::distribution::Fate::Says(whole.to_owned())],
    );
    let again = workstation.os(&["download", &url, "--force"]).await;
    again.success();
    assert!(again.stderr.contains("was fetched before"), "{again}");
    assert_eq!(server.asked("os.img").len(), 2);
}

#[tokio::test]
async fn what_is_larger_than_its_limit_is_not_kept() {
    let mut workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(400_000, 6);
    server.put("os.img", Served::new(bytes.clone()));
    let url = server.url("os.img");
    workstation.os(&["download", &url]).await.success();
    let room = &kept(&workstation)[0];
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs_err::metadata(room).expect("a folder").permissions(),
    );
    assert_eq!(mode & 0o777, 0o700, "others read it");
    workstation.set("OSCLI_CACHE_LIMIT", "100kB");
    // Also when nothing comes of it.
    let none = workstation.os(&["download", &server.url("none.img")]).await;
    assert_eq!(none.code, 1, "{none}");
    assert_eq!(kept(&workstation).len(), 0);
    workstation
        .os(&["download", &url, "--force"])
        .await
        .success();
    image_is(&workstation, &bytes);
    assert_eq!(kept(&workstation).len(), 0);
}
