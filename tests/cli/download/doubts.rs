//! Servers that do not say what they have: what could be of two files, or not whole, or unchecked, is not taken for right.

use std::time::{Duration, Instant};

use testkit::distribution::{Fate, Framing, Served};
use testkit::{Distribution, Workstation};

use super::{becomes_another, gzip, image_is, noise, nothing_is_there, sha256};

const AT: &str = "127.0.0.1:8080";

/// With zeros where it will be cut.
fn gapped(seed: u32) -> Vec<u8> {
    let mut bytes = noise(3_000_000, seed);
    bytes.splice(1_400_000..1_600_000, vec![0; 200_000]);
    bytes
}

#[tokio::test]
async fn parts_of_two_files_are_never_one_where_both_have_zeros() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (old, mut new) = (gapped(31), gapped(32));
    // In front of the zeros they are the same, too.
    new.splice(1_000_000..1_400_000, old[1_000_000..1_400_000].to_vec());
    let weak = |tag: &str| Some(format!("W/\"{tag}\""));
    for (tag, next) in [(None, None), (weak("0"), weak("1")), (weak("0"), weak("0"))] {
        let mut file = Served::new(old.clone());
        file.tag = tag;
        becomes_another(&workstation, &server, (file, 1_500_000), (&new, next)).await;
    }
}

#[tokio::test]
async fn a_part_that_does_not_show_of_which_file_it_is_is_compared() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let letters = |seed| -> Vec<u8> {
        let noise = noise(300_000, seed);
        noise.iter().map(|byte| b'a' + byte % 26).collect()
    };
    let (old, new) = (letters(45), letters(46));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("letters");
    let begun = "HTTP/1.1 200 OK\r\nETag: \"first\"\r\nContent-Length: 300000\r\n\r\n";
    let begun = format!("{begun}{}", text(&old[..100_000]));
    let part = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 100000-299999/*\r\nContent-Length: 200000";
    for (fields, tag, mixed) in [
        ("", "\"first\"", true),
        (
            "\r\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT",
            "\"second\"",
            false,
        ),
    ] {
        let part = format!("{part}{fields}\r\n\r\n{}", text(&new[100_000..]));
        let fates = [begun.clone(), part].map(Fate::Says);
        let mut file = Served::new(new.clone()).fated(fates);
        file.tag = Some(tag.to_owned());
        server.put("os.img", file);
        let output = workstation
            .os(&["download", &server.url("os.img"), "--force"])
            .await;
        output.success();
        assert!(output.stderr.contains("has changed"), "{mixed}: {output}");
        image_is(&workstation, &new);
        workstation.os(&["cache", "clean"]).await.success();
    }
}

#[tokio::test]
async fn parts_that_end_early_are_compared_where_nobody_says_how_long_the_file_is() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let letters = |seed| -> Vec<u8> {
        let noise = noise(300_000, seed);
        noise.iter().map(|byte| b'a' + byte % 26).collect()
    };
    let (old, new) = (letters(49), letters(50));
    let part = |from: usize, to: usize| {
        format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/*\r\nContent-Length: {}\r\n\r\n{}",
            to - 1,
            to - from,
            String::from_utf8_lossy(&old[from..to])
        )
    };
    let begun = String::from_utf8_lossy(&old[..100_000]);
    let begun = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n{begun}");
    // Its beginning is asked for once more, and then the rest with some of what is there; of that it gives only so much.
    let fates = [begun, part(0, 100_000), part(34_464, 200_000)];
    let mut file = Served::new(new.clone()).fated(fates.map(Fate::Says));
    file.tag = None;
    server.put("os.img", file);
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    output.success();
    assert!(output.stderr.contains("has changed"), "{output}");
    image_is(&workstation, &new);
}

#[tokio::test]
async fn a_long_file_whose_parts_show_nothing_is_had_all_the_same() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(70_000_000, 53);
    let mut file = Served::new(bytes.clone()).fated([Fate::Cut(10_000_000)]);
    file.parts_show = false;
    server.put("os.img", file);
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    output.success();
    let ranges = server.ranges("os.img");
    let is_beginning = |range: &String| range == "bytes=0-262143";
    let beginnings = ranges.iter().flatten().filter(|range| is_beginning(range));
    assert_eq!(beginnings.count(), 1, "{ranges:?}");
    assert!(
        output.stderr.contains("nothing proves that all of them"),
        "{output}"
    );
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn what_was_put_together_without_proof_is_told_of() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(3_000_000, 47);
    let packed = gzip(&workstation, &bytes);
    let url = server.url("os.img");
    let put = |bytes: &[u8], tag: Option<&str>| {
        let mut file = Served::new(bytes.to_vec()).fated([Fate::Cut(1_500_000)]);
        file.tag = tag.map(str::to_owned);
        server.put("os.img", file);
    };
    let told = async |is_told: bool| {
        let output = workstation
            .os(&["download", &url, "--force", "--json"])
            .await;
        output.success();
        let words = output.stderr.contains("nothing proves that all of them");
        assert_eq!(words, is_told, "{output}");
        let value: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
        assert_eq!(value["unproven"], is_told);
        image_is(&workstation, &bytes);
    };
    put(&bytes, Some("W/\"0\""));
    told(true).await;
    workstation.os(&["cache", "clean"]).await.success();
    // Its server says that it is one file; or its packing does; or a list.
    put(&bytes, Some("\"0\""));
    told(false).await;
    workstation.os(&["cache", "clean"]).await.success();
    put(&packed, None);
    told(false).await;
    workstation.os(&["cache", "clean"]).await.success();
    put(&bytes, None);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    server.put("SHA256SUMS", Served::new(list));
    told(false).await;
}

#[tokio::test]
async fn what_may_be_of_two_files_is_fetched_once_more_before_it_is_called_damaged() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let old = noise(3_000_000, 33);
    let mut new = old.clone();
    new.splice(600_000..700_000, noise(100_000, 34));
    let list = format!("{}  os.img\n", sha256(&workstation, &new));
    server.put("SHA256SUMS", Served::new(list));
    // Where it is compared both are the same.
    let fates = [
        Fate::Cut(1_500_000),
        Fate::Becomes(new.clone().into(), None),
    ];
    let mut file = Served::new(old).fated(fates);
    file.tag = None;
    server.put("os.img", file);
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    output.success();
    assert!(output.stderr.contains("once more"), "{output}");
    image_is(&workstation, &new);
}

#[tokio::test]
async fn the_end_of_a_part_is_not_that_of_the_file() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 35);
    let chunk = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("letters");
    let bytes: Vec<u8> = bytes.iter().map(|byte| b'a' + byte % 26).collect();
    let tag = "ETag: \"first\"\r\nTransfer-Encoding: chunked\r\n";
    let begun = format!(
        "HTTP/1.1 200 OK\r\n{tag}\r\n186a0\r\n{}",
        chunk(&bytes[..100_000])
    );
    let part = format!(
        "HTTP/1.1 206 Partial Content\r\n{tag}Content-Range: bytes 100000-199999/*\r\n\r\n186a0\r\n{}\r\n0\r\n\r\n",
        chunk(&bytes[100_000..200_000])
    );
    let end = format!(
        "HTTP/1.1 206 Partial Content\r\n{tag}Content-Range: bytes 200000-299999/*\r\n\r\n186a0\r\n{}\r\n0\r\n\r\n",
        chunk(&bytes[200_000..])
    );
    let none = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */300000\r\nContent-Length: 0\r\n\r\n";
    let mut file =
        Served::new(bytes.clone()).fated([begun, part, end, none.to_owned()].map(Fate::Says));
    file.framing = Framing::Chunked;
    server.put("os.img", file);
    workstation
        .os(&["download", &server.url("os.img")])
        .await
        .success();
    image_is(&workstation, &bytes);
    assert_eq!(server.asked("os.img").len(), 4);
}

#[tokio::test]
async fn checksums_beside_where_an_address_leads_are_looked_for() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 36);
    let on = "HTTP/1.1 302 Found\r\nLocation: /pool/os.img\r\nContent-Length: 0\r\n\r\n";
    let on = || Fate::Says(on.to_owned());
    server.put("latest", Served::new("").fated([on(), on()]));
    server.put("pool/os.img", Served::new(bytes.clone()));
    let wrong = format!("{}  os.img\n", "0".repeat(64));
    server.put("pool/SHA256SUMS", Served::new(wrong));
    let url = server.url("latest");
    let line = ["download", &url, "-o", "os.img"];
    let output = workstation.os(&line).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("is damaged"), "{output}");
    nothing_is_there(&workstation);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    server.put("pool/SHA256SUMS", Served::new(list));
    let output = workstation.os(&line).await;
    output.success();
    assert!(output.stderr.contains("checked by"), "{output}");
}

#[tokio::test]
async fn a_list_that_is_packed_for_the_way_is_read_all_the_same() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    server.put("os.img", Served::new(noise(300_000, 37)));
    let list = format!("{}  os.img\n", "0".repeat(64));
    let mut packed = Served::new(gzip(&workstation, list.as_bytes()));
    for (coding, said) in [("gzip", "is damaged"), ("br", "comes packed")] {
        let field = ("Content-Encoding".to_owned(), coding.to_owned());
        packed.fields = vec![field];
        server.put("SHA256SUMS", packed.clone());
        let output = workstation.os(&["download", &server.url("os.img")]).await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains(said), "{output}");
        nothing_is_there(&workstation);
    }
    let asked = server.asked("SHA256SUMS");
    let codings = asked
        .iter()
        .map(|one| one.fields["accept-encoding"].as_str());
    assert!(codings.eq(["identity", "identity"]), "{asked:?}");
}

#[tokio::test]
async fn a_server_whose_lists_are_trouble_is_used_without_them_where_that_is_wanted() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 38);
    server.put("os.img", Served::new(bytes.clone()));
    server.put("SHA256SUMS", Served::new(noise(5_000_000, 39)));
    let url = server.url("os.img");
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("--no-checksums"), "{output}");
    let output = workstation.os(&["download", &url, "--no-checksums"]).await;
    output.success();
    assert!(output.stderr.contains("nobody looked"), "{output}");
    image_is(&workstation, &bytes);
    let both = ["download", &url, "--no-checksums", "--keyring", "keys"];
    assert_eq!(workstation.os(&both).await.code, 2);
}

#[tokio::test]
async fn lists_that_nobody_demands_are_not_waited_for_without_end() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 48);
    server.put("os.img", Served::new(bytes.clone()));
    let never = || (0..9).map(|_| Fate::Stall(0));
    server.put("SHA256SUMS", Served::new("none\n").fated(never()));
    let url = server.url("os.img");
    let quick = ["download", &url, "--patience", "1"];
    let output = workstation.os(&quick).await;
    output.success();
    assert!(output.stderr.contains("nobody knows"), "{output}");
    image_is(&workstation, &bytes);
    // Those that have come count.
    workstation.os(&["cache", "clean"]).await.success();
    let own = format!("{}\n", sha256(&workstation, &bytes));
    server.put("os.img.sha256", Served::new(own));
    server.fate("SHA256SUMS", never());
    let output = workstation.os(&["download", &url, "--force"]).await;
    output.success();
    assert!(output.stderr.contains("nobody knows"), "{output}");
    assert!(
        output.stderr.contains("SHA-256 of os.img.sha256"),
        "{output}"
    );
    // Who names keys demands them.
    workstation.write("keys", "");
    server.fate("SHA256SUMS", never());
    let line = [&quick[..], &["--force", "--keyring", "keys"]].concat();
    let output = workstation.os(&line).await;
    assert_eq!(output.code, 1, "{output}");
}

#[tokio::test]
async fn a_list_of_one_line_is_of_the_file_beside_it_and_others_are_told_of() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    server.put("os.img", Served::new(noise(300_000, 40)));
    let line = format!("{}  os-1.0.img\n", "0".repeat(64));
    server.put("os.img.sha256", Served::new(line.clone()));
    let url = server.url("os.img");
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("is damaged"), "{output}");
    let two = format!("{line}{}  os-2.0.img\n", "1".repeat(64));
    server.put("os.img.sha256", Served::new(two));
    let output = workstation.os(&["download", &url]).await;
    output.success();
    assert!(output.stderr.contains("os-1.0.img, os-2.0.img"), "{output}");
}

#[tokio::test]
async fn a_pipe_beside_a_file_is_no_list() {
    let workstation = Workstation::new(None);
    let bytes = noise(300_000, 41);
    workstation.write("mirror/os.img", &bytes);
    workstation
        .machine
        .run("mkfifo", &["home/mirror/SHA256SUMS"]);
    workstation
        .os(&["download", "mirror/os.img"])
        .await
        .success();
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn servers_that_share_an_address_may_have_tags_of_their_own() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(70_000_000, 42);
    let fates =
        (0..20).map(|round| Fate::Becomes(bytes.clone().into(), Some(format!("\"{round}\""))));
    server.put("os.img", Served::new(bytes.clone()).fated(fates));
    workstation
        .os(&["download", &server.url("os.img")])
        .await
        .success();
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn a_server_that_answers_one_connection_only_is_not_waited_for() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(70_000_000, 43);
    let fates = std::iter::once(Fate::Cut(bytes.len()));
    let fates = fates.chain((0..3).map(|_| Fate::Stall(0)));
    server.put("os.img", Served::new(bytes.clone()).fated(fates));
    let since = Instant::now();
    workstation
        .os(&["download", &server.url("os.img")])
        .await
        .success();
    image_is(&workstation, &bytes);
    assert!(since.elapsed() < Duration::from_secs(25));
}

#[tokio::test]
async fn what_its_server_calls_a_page_is_judged_by_its_first_bytes() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 44);
    let page = ("Content-Type".to_owned(), "text/html".to_owned());
    for (name, served, code) in [
        ("os.img.gz", gzip(&workstation, &bytes), 0),
        ("other.img", b"<html>please log in</html>".to_vec(), 1),
    ] {
        let mut file = Served::new(served);
        file.fields.push(page.clone());
        server.put(name, file);
        let output = workstation.os(&["download", &server.url(name)]).await;
        assert_eq!(output.code, code, "{output}");
    }
    image_is(&workstation, &bytes);
}
