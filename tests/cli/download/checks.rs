//! What came is checked by all that its server offers, and what is damaged is never used.

use testkit::distribution::{Fate, Framing, Served};
use testkit::{Distribution, Workstation};

use super::{gzip, image, image_is, noise, nothing_is_there, sha256};

const AT: &str = "127.0.0.1:8080";

fn digest_field(workstation: &Workstation, bytes: &[u8]) -> String {
    use base64::Engine as _;
    let hex = sha256(workstation, bytes);
    let pairs = hex.as_bytes().chunks(2);
    let bytes: Vec<u8> = pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex"))
        .collect();
    format!(
        "sha-256=:{}:",
        base64::prelude::BASE64_STANDARD.encode(bytes)
    )
}

#[tokio::test]
async fn every_checksum_that_is_offered_has_to_be_right() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let (bytes, other) = (noise(500_000, 1), noise(500_000, 2));
    let (right, wrong) = (sha256(&workstation, &bytes), sha256(&workstation, &other));
    let url = server.url("os.img");
    for (list, text) in [
        ("SHA256SUMS", format!("{wrong}  os.img\n")),
        ("os.img.sha256", format!("{wrong}\n")),
    ] {
        server.put("os.img", Served::new(bytes.clone()));
        server.put(list, Served::new(text));
        let output = workstation.os(&["download", &url]).await;
        assert_eq!(output.code, 1, "{output}");
        assert!(
            output.stderr.contains(list) && output.stderr.contains(&wrong),
            "{output}"
        );
        nothing_is_there(&workstation);
        server.remove(list);
    }
    for (content, is_right) in [(&other, false), (&bytes, true)] {
        let mut file = Served::new(bytes.clone());
        let field = digest_field(&workstation, content);
        file.fields.push(("Repr-Digest".to_owned(), field));
        server.put("os.img", file);
        let list = format!("{wrong}  other.img\n{right} *os.img\n");
        server.put("SHA256SUMS", Served::new(list));
        let output = workstation.os(&["download", &url]).await;
        assert_eq!(output.code == 0, is_right, "{output}");
    }
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn what_is_packed_is_unpacked_and_what_is_cut_off_there_is_not_used() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = [noise(300_000, 3), vec![0; 2_000_000], noise(300_000, 4)].concat();
    let packed = gzip(&workstation, &bytes);
    let short = &packed[..packed.len() - 100_000];
    let url = server.url("os.img.gz");
    server.put("os.img.gz", Served::new(short.to_vec()));
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("cannot be unpacked"), "{output}");
    nothing_is_there(&workstation);
    workstation.os(&["cache", "clean"]).await.success();
    server.put("os.img.gz", Served::new(packed.clone()));
    workstation.os(&["download", &url]).await.success();
    image_is(&workstation, &bytes);
    let blocks = std::os::unix::fs::MetadataExt::blocks(
        &fs_err::metadata(image(&workstation)).expect("a file"),
    );
    assert!(blocks * 512 < 1_500_000, "zeros take room: {blocks}");
    workstation
        .os(&["download", &url, "--compressed", "-o", "as-it-came"])
        .await
        .success();
    assert!(fs_err::read(workstation.home().join("as-it-came")).expect("a file") == packed);
    // For pipes.
    let program = [testkit::programs::built("os")
        .to_str()
        .expect("a path")
        .to_owned()];
    let line = format!("{} download {url} -o - | cmp - os.img", program[0]);
    let piped = workstation
        .start_program(&["bash", "-o", "pipefail", "-c", &line])
        .output()
        .await;
    piped.success();
}

#[tokio::test]
async fn a_bomb_ends_in_an_error() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let zeros = fs_err::File::create(workstation.home().join("bomb")).expect("a file");
    zeros.set_len(500_000_000).expect("a file");
    workstation
        .machine
        .run("sh", &["-c", "cd home && gzip -1 bomb"]);
    let bomb = fs_err::read(workstation.home().join("bomb.gz")).expect("a file");
    server.put("os.img.gz", Served::new(bomb));
    let url = server.url("os.img.gz");
    let output = workstation
        .os(&["download", &url, "--max-size", "300MB"])
        .await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("--max-size"), "{output}");
    nothing_is_there(&workstation);
    let long = noise(3_000_000, 11);
    let list = format!("{}  os.img\n", sha256(&workstation, &long));
    server.put("SHA256SUMS", Served::new(list));
    for framing in [Framing::Length, Framing::Chunked, Framing::Close] {
        let mut file = Served::new(long.clone());
        file.framing = framing;
        server.put("os.img", file);
        let url = server.url("os.img");
        let output = workstation
            .os(&["download", &url, "--max-size", "1MB"])
            .await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains("--max-size"), "{output}");
        nothing_is_there(&workstation);
    }
}

#[tokio::test]
async fn what_is_packed_for_the_way_is_checked_as_it_is_without_that() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(500_000, 6);
    let mut file = Served::new(gzip(&workstation, &bytes));
    file.fields
        .push(("Content-Encoding".to_owned(), "gzip".to_owned()));
    server.put("os.img", file.clone());
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    server.put("SHA256SUMS", Served::new(list));
    let url = server.url("os.img");
    for _ in 0..2 {
        workstation
            .os(&["download", &url, "--force"])
            .await
            .success();
        image_is(&workstation, &bytes);
    }
    assert_eq!(server.asked("os.img").len(), 1);
    workstation.os(&["cache", "clean"]).await.success();
    file.fields[0].1 = "br".to_owned();
    server.put("os.img", file);
    server.put("SHA256SUMS", Served::new(""));
    let output = workstation.os(&["download", &url, "--force"]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("not by gzip"), "{output}");
}

#[tokio::test]
async fn what_takes_much_memory_to_unpack_is_kept_for_who_has_it() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    workstation.write("plain", noise(300_000, 14));
    let script = "cd home && zstd -q --long=28 <plain >packed";
    workstation.machine.run("sh", &["-c", script]);
    let packed = fs_err::read(workstation.home().join("packed")).expect("a file");
    server.put("os.img.zst", Served::new(packed.clone()));
    let url = server.url("os.img.zst");
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("--long=31"), "{output}");
    assert!(output.stderr.contains("--compressed"), "{output}");
    assert!(!output.stderr.contains("damaged"), "{output}");
    let as_it_came = ["download", &url, "--compressed", "-o", "os.img", "--json"];
    let output = workstation.os(&as_it_came).await;
    output.success();
    let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
    assert_eq!(told["cached"], true);
    assert_eq!(told["fetched_sha256"], sha256(&workstation, &packed));
    image_is(&workstation, &packed);
}

#[tokio::test]
async fn what_another_xz_unpacks_is_kept_for_it() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    // Flags that nobody has a meaning for yet, and their right checksum.
    let start = b"\xFD7zXZ\0\0\x10\x9B\x02\x6E\x5C";
    let packed = [start, noise(300_000, 15).as_slice()].concat();
    server.put("os.img.xz", Served::new(packed.clone()));
    let url = server.url("os.img.xz");
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("--compressed"), "{output}");
    assert!(!output.stderr.contains("damaged"), "{output}");
    let as_it_came = ["download", &url, "--compressed", "-o", "os.img", "--json"];
    let output = workstation.os(&as_it_came).await;
    output.success();
    let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
    assert_eq!(told["cached"], true);
    image_is(&workstation, &packed);
}

#[tokio::test]
async fn a_file_of_this_machine_is_checked_too() {
    let workstation = Workstation::new(None);
    let bytes = noise(300_000, 8);
    let packed = gzip(&workstation, &bytes);
    let path = workstation.write("mirror/os.img.gz", &packed);
    let list = format!("{}  os.img.gz\n", sha256(&workstation, &packed));
    workstation.write("mirror/SHA256SUMS", list);
    let url = format!("file://{}", path.display());
    workstation.os(&["download", &url]).await.success();
    image_is(&workstation, &bytes);
    let again = workstation.os(&["download", "mirror/os.img.gz"]).await;
    assert_eq!(again.code, 2, "{again}");
    fs_err::remove_file(image(&workstation)).expect("an image");
    workstation.write("mirror/os.img.gz", gzip(&workstation, &noise(300_000, 9)));
    let output = workstation.os(&["download", "mirror/os.img.gz"]).await;
    assert_eq!(output.code, 1, "{output}");
    nothing_is_there(&workstation);
    // What is told of it is so.
    assert!(path.exists());
    assert!(output.stderr.contains("stays where it is"), "{output}");
    assert!(!output.stderr.contains("removed"), "{output}");
}

#[tokio::test]
async fn what_does_not_unpack_is_not_kept() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(500_000, 12);
    let packed = gzip(&workstation, &bytes);
    let mut damaged = packed.clone();
    damaged[250_000] ^= 1;
    let url = server.url("os.img.gz");
    server.put("os.img.gz", Served::new(damaged.clone()));
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("cannot be unpacked"), "{output}");
    nothing_is_there(&workstation);
    // On the way, and not at the server: which says that it is the same as before.
    server.put("os.img.gz", Served::new(packed));
    workstation.os(&["download", &url]).await.success();
    image_is(&workstation, &bytes);
    workstation.os(&["cache", "clean"]).await.success();
    // It was wanted as it came, and was not looked at.
    server.put("os.img.gz", Served::new(damaged));
    let packed = ["download", &url, "--compressed", "-o", "packed"];
    workstation.os(&packed).await.success();
    for _ in 0..2 {
        let output = workstation.os(&["download", &url, "--force"]).await;
        assert_eq!(output.code, 1, "{output}");
    }
    let listed = workstation.os(&["cache", "list"]).await;
    assert!(listed.stdout.is_empty(), "{listed}");
}

#[tokio::test]
async fn a_bomb_that_is_packed_for_the_way_ends_in_an_error_too() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let zeros = fs_err::File::create(workstation.home().join("bomb")).expect("a file");
    zeros.set_len(500_000_000).expect("a file");
    let script = "cd home && gzip -1 bomb";
    workstation.machine.run("sh", &["-c", script]);
    let bomb = fs_err::read(workstation.home().join("bomb.gz")).expect("a file");
    let mut file = Served::new(bomb.clone());
    file.fields
        .push(("Content-Encoding".to_owned(), "gzip".to_owned()));
    server.put("os.img", file.clone());
    let list = format!("{}  os.img\n", sha256(&workstation, b""));
    server.put("SHA256SUMS", Served::new(list));
    let url = server.url("os.img");
    for to in ["os.img", "-"] {
        let output = workstation
            .os(&["download", &url, "--max-size", "300MB", "-o", to])
            .await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains("--max-size"), "{output}");
    }
    file.bytes = bomb[..bomb.len() - 1000].to_vec().into();
    server.put("os.img", file);
    let cut = workstation.os(&["download", &url, "-o", "-"]).await;
    assert_eq!(cut.code, 1, "{cut}");
    assert!(cut.stderr.contains("cannot be unpacked"), "{cut}");
    nothing_is_there(&workstation);
}

#[tokio::test]
async fn a_list_that_is_cut_off_is_asked_for_anew() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 13);
    let busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    server.put("os.img", Served::new(bytes.clone()));
    let fates = [Fate::Says(busy.to_owned()), Fate::Cut(10), Fate::Cut(0)];
    server.put("SHA256SUMS", Served::new(list).fated(fates));
    let output = workstation.os(&["download", &server.url("os.img")]).await;
    output.success();
    assert!(output.stderr.contains("checked by"), "{output}");
    assert_eq!(server.asked("SHA256SUMS").len(), 4);
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn a_list_without_an_end_is_none() {
    let workstation = Workstation::new(None);
    let path = workstation.write("mirror/os.img", noise(300_000, 14));
    let list = fs_err::File::create(path.with_file_name("SHA256SUMS")).expect("a file");
    list.set_len(5_000_000).expect("a file");
    let output = workstation.os(&["download", "mirror/os.img"]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("SHA256SUMS is too long"), "{output}");
    nothing_is_there(&workstation);
}

#[tokio::test]
async fn an_address_of_a_file_is_read_as_one() {
    let workstation = Workstation::new(None);
    let bytes = noise(1000, 15);
    let path = workstation.write("a b/os.img", &bytes);
    let url = format!("file://{}", path.display()).replace(' ', "%20");
    workstation.os(&["download", &url]).await.success();
    image_is(&workstation, &bytes);
    workstation.write("other/x.img", &bytes);
    let elsewhere = workstation.os(&["download", "file://other/x.img"]).await;
    assert_eq!(elsewhere.code, 2, "{elsewhere}");
    assert!(elsewhere.stderr.contains("file:///"), "{elsewhere}");
}
