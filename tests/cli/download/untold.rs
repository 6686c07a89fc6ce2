//! Servers that do not tell the length of what they give, which is packed; and lists that break off.

use testkit::distribution::{Fate, Framing, Served};
use testkit::{Distribution, Workstation};

use super::{ended_before_it_was_kept, gzip, image_is, noise, nothing_is_there, sha256};

const AT: &str = "127.0.0.1:8080";

fn endless(bytes: Vec<u8>) -> Served {
    let mut file = Served::new(bytes);
    file.framing = Framing::Close;
    file
}

#[tokio::test]
async fn what_cannot_be_unpacked_here_is_had_as_it_came() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    workstation.write("plain", noise(300_000, 64));
    workstation.write("zeros", vec![0; 3_000_000]);
    let script = "cd home && zstd -q --long=28 <plain >plain.zst && gzip -9 <zeros >zeros.gz && \
        cp plain a.img && cp plain b.img && python3 -m zipfile -c two.zip a.img b.img && python3 -m zipfile -c one.zip a.img";
    workstation.machine.run("sh", &["-c", script]);
    let made = |name: &str| fs_err::read(workstation.home().join(name)).expect("a file");
    let one = made("one.zip");
    let mut packed = endless(gzip(&workstation, &one));
    packed
        .fields
        .push(("Content-Encoding".to_owned(), "gzip".to_owned()));
    for (name, served) in [
        ("os.img.zst", endless(made("plain.zst"))),
        ("os.img.gz", endless(made("zeros.gz"))),
        ("two.zip", endless(made("two.zip"))),
        ("coded.zip", packed),
    ] {
        let came = served.bytes.clone();
        server.put(name, served);
        let url = server.url(name);
        let line = [
            "download",
            &url,
            "--compressed",
            "-o",
            "os.img",
            "--force",
            "--max-size",
            "2MB",
        ];
        let output = workstation.os(&line).await;
        output.success();
        assert!(output.stderr.contains("did not tell how long"), "{output}");
        image_is(&workstation, &came);
    }
    fs_err::remove_file(workstation.home().join("os.img")).expect("a file");
    workstation.os(&["cache", "clean"]).await.success();
    // What is cut off is not.
    let half = |name: &str| made(name)[..made(name).len() / 2].to_vec();
    for name in ["zeros.gz", "two.zip"] {
        server.put(name, endless(half(name)));
        let url = server.url(name);
        let line = ["download", &url, "--compressed", "-o", "os.img"];
        let output = workstation.os(&line).await;
        assert_eq!(output.code, 1, "{output}");
        nothing_is_there(&workstation);
    }
}

#[tokio::test]
async fn a_checksum_that_came_counts_whatever_becomes_of_other_lists() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let busy = || Served::new("").fated((0..9).map(|_| Fate::Says(busy.to_owned())));
    let wrong = || Served::new(format!("{}\n", "0".repeat(64)));
    server.put("os.img", Served::new(noise(300_000, 65)));
    let url = server.url("os.img");
    // One before the trouble, and one behind it.
    for (right, trouble) in [
        ("os.img.sha256", "SHA256SUMS"),
        ("os.img.sha512", "os.img.sha256"),
    ] {
        server.put(right, wrong());
        server.put(trouble, busy());
        let output = workstation.os(&["download", &url]).await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains("is damaged"), "{output}");
        assert!(output.stderr.contains("nobody knows"), "{output}");
        nothing_is_there(&workstation);
        server.remove(right);
        server.remove(trouble);
    }
}

#[tokio::test]
async fn lists_that_cannot_be_had_are_named_and_missed_where_they_are_demanded() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 71);
    server.put("os.img", Served::new(bytes.clone()));
    let lists = ["os.img.sha256", "os.img.sha512", "SHA256SUMS", "SHA512SUMS"];
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    for list in lists {
        let fates = (0..20).map(|_| Fate::Says(busy.to_owned()));
        server.put(list, Served::new("").fated(fates));
    }
    let url = server.url("os.img");
    let output = workstation.os(&["download", &url]).await;
    output.success();
    // What is there already is no more certain.
    let again = workstation.os(&["download", &url, "--force"]).await;
    again.success();
    assert!(again.stderr.contains("was fetched before"), "{again}");
    for output in [output, again] {
        for words in lists.iter().chain(&["nobody knows", "compare the SHA-256"]) {
            assert!(output.stderr.contains(words), "{words}: {output}");
        }
        assert!(!output.stderr.contains("nothing beside it"), "{output}");
        assert!(output.stderr.contains("what has come has"), "{output}");
    }
    image_is(&workstation, &bytes);
    fs_err::remove_file(workstation.home().join("os.img")).expect("a file");
    workstation.write("keys", "");
    let line = ["download", &url, "--keyring", "keys"];
    let output = workstation.os(&line).await;
    assert_eq!(output.code, 1, "{output}");
    for words in ["os.img.sha256", "--keyring demands"] {
        assert!(output.stderr.contains(words), "{words}: {output}");
    }
    nothing_is_there(&workstation);
}

#[tokio::test]
async fn what_may_go_on_behind_its_end_is_not_called_proven() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 72);
    let first = gzip(&workstation, &bytes);
    let both = [&first[..], &gzip(&workstation, &noise(1000, 73))].concat();
    // It is cut between two members: what has come is whole by itself.
    server.put("os.img.gz", endless(first.clone()));
    let url = server.url("os.img.gz");
    let line = ["download", &url, "--force", "--json"];
    let told = async |is_told: bool| {
        let output = workstation.os(&line).await;
        output.success();
        for words in ["did not tell how long", "compare the SHA-256"] {
            assert_eq!(output.stderr.contains(words), is_told, "{output}");
        }
        let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
        assert_eq!(value["unproven"], is_told);
        image_is(&workstation, &bytes);
        value["cached"] == true
    };
    assert!(!told(true).await);
    assert!(told(true).await, "it is kept, and no more certain for that");
    let list = |bytes: &[u8]| format!("{}  os.img.gz\n", sha256(&workstation, bytes));
    server.put("SHA256SUMS", Served::new(list(&first)));
    assert!(told(false).await);
    server.put("SHA256SUMS", Served::new(list(&both)));
    let output = workstation.os(&line).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("is damaged"), "{output}");
}

#[tokio::test]
async fn an_end_that_was_guessed_is_not_believed_the_next_time() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (one, other) = (noise(300_000, 74), noise(200_000, 75));
    let first = gzip(&workstation, &one);
    let both = [&first[..], &gzip(&workstation, &other)].concat();
    let images = [one.clone(), [&one[..], &other].concat()];
    let url = server.url("os.img.gz");
    for (gives_parts, tag, served, image, is_proven) in [
        // All of it, by who tells how long it is, and by who does not; and no more than there was.
        (true, Some("\"1\""), &both, 1, true),
        (true, None, &both, 1, true),
        (false, Some("\"1\""), &both, 1, false),
        (false, Some("\"1\""), &first, 0, false),
        (true, Some("\"1\""), &first, 0, true),
    ] {
        let put = |bytes: &[u8]| {
            let mut file = endless(bytes.to_vec());
            (file.tag, file.ranges) = (tag.map(str::to_owned), gives_parts);
            server.put("os.img.gz", file);
        };
        // Its connection ends between two members of it.
        put(&first);
        let line = ["download", &url, "--force", "--json"];
        workstation.os(&line).await.success();
        let state = serde_json::json!({ "joint": "one_answer", "is_guessed": true });
        ended_before_it_was_kept(&workstation, &url, &state);
        put(served);
        let output = workstation.os(&line).await;
        output.success();
        assert!(!output.stderr.contains("has changed"), "{output}");
        let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
        assert_eq!(value["unproven"], !is_proven, "{output}");
        image_is(&workstation, &images[image]);
        workstation.os(&["cache", "clean"]).await.success();
    }
}

#[tokio::test]
async fn who_tells_the_length_later_takes_the_end_out_of_doubt() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(3_000_000, 76);
    let file = endless(gzip(&workstation, &bytes)).fated([Fate::Stall(1_500_000)]);
    server.put("os.img.gz", file);
    let url = server.url("os.img.gz");
    let line = ["download", &url, "--json", "--patience", "2"];
    let output = workstation.os(&line).await;
    output.success();
    assert!(server.ranges("os.img.gz")[1].is_some(), "{output}");
    assert!(!output.stderr.contains("did not tell"), "{output}");
    let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
    assert_eq!(value["unproven"], false);
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn what_was_fetched_before_is_asked_about_where_its_lists_are_trouble() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (bytes, later) = (noise(300_000, 66), noise(300_000, 67));
    server.put("os.img", Served::new(bytes));
    let url = server.url("os.img");
    workstation.os(&["download", &url]).await.success();
    let mut file = Served::new(later.clone());
    file.tag = Some("\"second\"".to_owned());
    server.put("os.img", file);
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let busy = (0..9).map(|_| Fate::Says(busy.to_owned()));
    server.put("SHA256SUMS", Served::new("").fated(busy));
    let output = workstation.os(&["download", &url, "--force"]).await;
    output.success();
    image_is(&workstation, &later);
}

#[tokio::test]
async fn what_is_proven_right_is_not_judged_by_its_name() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 68);
    server.put("os.img.xz", Served::new(bytes.clone()));
    let to = "HTTP/1.1 302 Found\r\nLocation: /pool/os.img.xz\r\nContent-Length: 0\r\n\r\n";
    let sent = (0..9).map(|_| Fate::Says(to.to_owned()));
    server.put("latest/os.img.xz", Served::new("").fated(sent));
    server.put("pool/os.img.xz", Served::new(bytes.clone()));
    for path in ["os.img.xz", "latest/os.img.xz"] {
        let url = server.url(path);
        let output = workstation.os(&["download", &url]).await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains("does not begin as"), "{output}");
        assert!(!output.stderr.contains("it is damaged"), "{output}");
        nothing_is_there(&workstation);
    }
    let list = format!("{}  os.img.xz\n", sha256(&workstation, &bytes));
    server.put("SHA256SUMS", Served::new(list.clone()));
    server.put("pool/SHA256SUMS", Served::new(list));
    for path in ["os.img.xz", "os.img.xz", "latest/os.img.xz"] {
        let url = server.url(path);
        let output = workstation.os(&["download", &url, "--force"]).await;
        output.success();
        image_is(&workstation, &bytes);
    }
}

#[tokio::test]
async fn what_one_answer_brings_in_the_end_is_not_fetched_once_more() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let mut file = Served::new(noise(3_000_000, 70)).fated([Fate::Cut(1_000_000)]);
    file.ranges = false;
    server.put("os.img", file);
    let list = format!("{}  os.img\n", "0".repeat(64));
    server.put("SHA256SUMS", Served::new(list));
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("is damaged"), "{output}");
    assert!(!output.stderr.contains("once more"), "{output}");
    assert_eq!(server.asked("os.img").len(), 2, "{output}");
    nothing_is_there(&workstation);
}

#[tokio::test]
async fn what_one_answer_brings_in_the_end_is_proven() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(3_000_000, 69);
    let mut file = Served::new(bytes.clone());
    file.tag = None;
    // A part joins what there is, and then all of it comes once more.
    let fates = [
        Fate::Cut(1_000_000),
        Fate::Cut(262_144),
        Fate::Cut(1_000_000),
        Fate::Whole,
        Fate::Whole,
    ];
    server.put("os.img", file.fated(fates));
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    output.success();
    assert!(!output.stderr.contains("nothing proves"), "{output}");
    image_is(&workstation, &bytes);
}
