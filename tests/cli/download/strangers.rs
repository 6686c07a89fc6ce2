//! Servers that are others than was meant.

use testkit::distribution::{Fate, Served};
use testkit::{Distribution, Workstation};

use super::{image_is, noise, nothing_is_there};

fn sent_to(url: &str) -> Fate {
    Fate::Says(format!(
        "HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n"
    ))
}

#[tokio::test]
async fn no_credential_follows_to_another_server() {
    let workstation = Workstation::new(None);
    let first = Distribution::start(&workstation.machine, "127.0.0.1:8080");
    let second = Distribution::start(&workstation.machine, "127.0.0.1:8081");
    let bytes = noise(300_000, 1);
    let to = second.url("elsewhere.img");
    first.put("os.img", Served::new("").fated([sent_to("/here.img")]));
    first.put("here.img", Served::new("").fated([sent_to(&to)]));
    second.put("elsewhere.img", Served::new(bytes.clone()));
    let output = workstation
        .os(&["download", "http://ann:secret@127.0.0.1:8080/os.img"])
        .await;
    output.success();
    assert!(!output.stderr.contains("secret"), "{output}");
    image_is(&workstation, &bytes);
    for path in ["os.img", "here.img", "SHA256SUMS"] {
        let asked = &first.asked(path)[0].fields;
        assert_eq!(asked["authorization"], "Basic YW5uOnNlY3JldA==", "{path}");
    }
    let asked = second.asked("elsewhere.img");
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].fields.contains_key("authorization"), "{asked:?}");
    // Round in a circle.
    first.put(
        "os.img",
        Served::new("").fated((0..20).map(|_| sent_to("/os.img"))),
    );
    let circle = workstation
        .os(&["download", &first.url("os.img?x"), "--force"])
        .await;
    assert_eq!(circle.code, 1, "{circle}");
    assert!(circle.stderr.contains("on and on"), "{circle}");
}

#[tokio::test]
async fn who_cannot_prove_who_he_is_is_not_asked() {
    let mut workstation = Workstation::new(None);
    let bytes = noise(300_000, 2);
    let names = ["localhost"];
    let good = Distribution::start_tls(&workstation.machine, "127.0.0.1:8443", &names, false);
    let old = Distribution::start_tls(&workstation.machine, "127.0.0.1:8444", &names, true);
    let plain = Distribution::start(&workstation.machine, "127.0.0.1:8080");
    for server in [&good, &old, &plain] {
        server.put("os.img", Served::new(bytes.clone()));
    }
    let refused = workstation
        .os(&["download", "https://localhost:8443/os.img"])
        .await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(
        refused.stderr.contains("does not prove who it is"),
        "{refused}"
    );
    workstation.set("OSCLI_CLOUD_CA", old.authority());
    let refused = workstation
        .os(&["download", "https://localhost:8444/os.img"])
        .await;
    assert!(
        refused.stderr.contains("does not prove who it is"),
        "{refused}"
    );
    assert!(
        refused.stderr.contains("expired on 2020-01-01") && refused.stderr.contains("clock right"),
        "{refused}"
    );
    nothing_is_there(&workstation);
    workstation.set("OSCLI_CLOUD_CA", good.authority());
    workstation
        .os(&["download", "https://localhost:8443/os.img"])
        .await
        .success();
    image_is(&workstation, &bytes);
    // From one who proves it to one who does not.
    let to = plain.url("os.img");
    good.put("os.img", Served::new("").fated([sent_to(&to)]));
    let down = workstation
        .os(&["download", "https://localhost:8443/os.img?x", "--force"])
        .await;
    assert_eq!(down.code, 1, "{down}");
    assert!(down.stderr.contains("nobody proves"), "{down}");
    assert!(plain.asked("os.img").is_empty());
    assert!(old.asked("os.img").is_empty());
}

#[tokio::test]
async fn who_is_not_there_is_said_so_at_once() {
    let workstation = Workstation::new(None);
    let output = workstation
        .os(&["download", "http://127.0.0.1:9/os.img"])
        .await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("cannot be reached"), "{output}");
}

#[tokio::test]
async fn a_proxy_is_asked_where_one_is_named() {
    let mut workstation = Workstation::new(None);
    let proxy = Distribution::start(&workstation.machine, "127.0.0.1:8088");
    let server = Distribution::start(&workstation.machine, "127.0.0.1:8080");
    let (far, near) = (noise(300_000, 3), noise(300_000, 4));
    // A proxy is told the whole address.
    proxy.put_as("http://far.test/os.img", Served::new(far.clone()));
    server.put("os.img", Served::new(near.clone()));
    workstation.set("http_proxy", "http://127.0.0.1:8088");
    workstation.set("no_proxy", "localhost,127.0.0.1");
    workstation
        .os(&["download", "http://far.test/os.img"])
        .await
        .success();
    image_is(&workstation, &far);
    workstation
        .os(&["download", &server.url("os.img"), "--force"])
        .await
        .success();
    image_is(&workstation, &near);
}

#[tokio::test]
async fn what_is_no_image_is_not_taken_for_one() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, "127.0.0.1:8080");
    let url = server.url("os.img");
    // The page of somebody between us and the server, who wants to be paid or agreed with.
    let mut page = Served::new("<html>Welcome</html>");
    let field = (
        "Content-Type".to_owned(),
        "text/html; charset=utf-8".to_owned(),
    );
    page.fields.push(field);
    server.put("os.img", page);
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("a web page"), "{output}");
    server.put("os.img", Served::new(""));
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("empty"), "{output}");
    nothing_is_there(&workstation);
    let listed = workstation.os(&["cache", "list"]).await;
    assert!(listed.stdout.is_empty(), "{listed}");
    let left = fs_err::read_dir(workstation.home().join(".cache/os/images"));
    assert_eq!(left.expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_part_that_is_called_a_page_is_a_part() {
    let workstation = Workstation::new(None);
    // So large that several connections fetch it. This server calls every part a page.
    let bytes = noise(80_000_000, 5);
    let file = workstation.write("served/os.img", &bytes);
    let place = "127.0.0.1:8080";
    let mut server = workstation
        .machine
        .command("busybox")
        .args(["httpd", "-f", "-p", place, "-h"])
        .arg(file.parent().expect("a folder"))
        .spawn()
        .expect("busybox");
    let url = format!("http://{place}/os.img");
    let probe = [
        "-sf",
        "--retry",
        "20",
        "--retry-connrefused",
        "-r",
        "0-9",
        "-D",
        "-",
        "-o",
        "/dev/null",
        &url,
    ];
    let head = workstation.machine.run("curl", &probe);
    assert!(head.contains("206") && head.contains("text/html"), "{head}");
    let output = workstation.os(&["download", &url]).await;
    drop(server.kill());
    drop(server.wait());
    output.success();
    image_is(&workstation, &bytes);
}
