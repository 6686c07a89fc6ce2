//! What has no end that its server tells of, and what is wrong from its start on.

use std::time::Duration;

use testkit::distribution::{Fate, Framing, Served};
use testkit::{Distribution, Workstation};

use super::{gzip, image_is, noise, nothing_is_there, sha256};

const AT: &str = "127.0.0.1:8080";

#[tokio::test]
async fn what_has_no_end_needs_a_checksum() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(500_000, 5);
    let mut file = Served::new(bytes.clone());
    file.framing = Framing::Close;
    server.put("os.img", file);
    let url = server.url("os.img");
    let output = workstation.os(&["download", &url]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("whether it is whole"), "{output}");
    nothing_is_there(&workstation);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    server.put("SHA256SUMS", Served::new(list));
    workstation.os(&["download", &url]).await.success();
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn what_is_packed_tells_its_end_by_itself() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(500_000, 61);
    workstation.write("os.img", &bytes);
    let script = "cd home && xz -k os.img && zstd -q os.img && gzip -k os.img && zip -q os.zip os.img && rm os.img";
    workstation.machine.run("sh", &["-c", script]);
    for name in ["os.img.xz", "os.img.zst", "os.img.gz", "os.zip"] {
        let packed = fs_err::read(workstation.home().join(name)).expect("a file");
        fs_err::remove_file(workstation.home().join(name)).expect("a file");
        let url = server.url(name);
        for (served, is_whole) in [(&packed[..packed.len() - 5], false), (&packed[..], true)] {
            for to in [
                &["--force"][..],
                &["--compressed", "-o", "packed", "--force"],
            ] {
                let mut file = Served::new(served.to_vec());
                file.framing = Framing::Close;
                server.put(name, file);
                let output = workstation.os(&[&["download", &url], to].concat()).await;
                assert_eq!(output.code == 0, is_whole, "{name}: {output}");
                workstation.os(&["cache", "clean"]).await.success();
            }
        }
        image_is(&workstation, &bytes);
        assert!(fs_err::read(workstation.home().join("packed")).expect("a file") == packed);
        for name in ["os.img", "packed"] {
            fs_err::remove_file(workstation.home().join(name)).expect("a file");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_right_is_not_fetched_to_its_end() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let xz = |place: usize| {
        let mut packed = noise(4_000_000, 63);
        packed.splice(..12, *b"\xFD7zXZ\0\0\x04\xE6\xD6\xB4\x46");
        packed[place] ^= 1;
        packed
    };
    let mut gz = gzip(&workstation, &noise(4_000_000, 64));
    gz[3] = 0xFF;
    let stalls = || (0..9).map(|_| Fate::Stall(2_000_000));
    for (name, bytes, said) in [
        ("os.img.xz", xz(0), "does not begin as a file does"),
        ("os.img.xz", xz(8), "cannot be unpacked"),
        ("os.img.gz", gz, "cannot be unpacked"),
    ] {
        server.put(name, Served::new(bytes));
        let url = server.url(name);
        for to in ["os.img", "-"] {
            server.fate(name, stalls());
            let line = ["download", &url, "-o", to];
            let ended = tokio::time::timeout(Duration::from_secs(20), workstation.os(&line)).await;
            let output = ended.expect("an end before the server has had enough");
            assert_eq!(output.code, 1, "{output}");
            assert!(output.stderr.contains(said), "{output}");
            assert!(output.stderr.contains("damaged"), "{output}");
            assert!(output.stdout.is_empty(), "{output}");
            nothing_is_there(&workstation);
        }
    }
    // Nor what nobody could tell to be whole.
    let mut file = Served::new(noise(4_000_000, 65)).fated(stalls());
    file.framing = Framing::Close;
    server.put("os.img", file);
    let url = server.url("os.img");
    let line = ["download", &url];
    let ended = tokio::time::timeout(Duration::from_secs(20), workstation.os(&line)).await;
    let output = ended.expect("an end before the server has had enough");
    assert!(output.stderr.contains("whether it is whole"), "{output}");
    let listed = workstation.os(&["cache", "list"]).await;
    assert!(listed.stdout.is_empty(), "{listed}");
}

#[tokio::test]
async fn an_archive_for_another_program_is_kept_for_that() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    workstation.write("one.img", noise(300_000, 70));
    workstation.write("two.img", noise(1000, 71));
    let script = "cd home && zip -q -P secret locked.zip one.img && zip -q two.zip one.img two.img && \
        python3 -c \"import zipfile; zipfile.ZipFile('other.zip', 'w', zipfile.ZIP_BZIP2).write('one.img')\" && \
        zip -q cut.zip one.img";
    workstation.machine.run("sh", &["-c", script]);
    let made = |name: &str| fs_err::read(workstation.home().join(name)).expect("a file");
    for (name, said, hint) in [
        ("other.zip", "packed by Bzip2", "`7z x`"),
        ("locked.zip", "encrypted", "password"),
        ("two.zip", "one.img, two.img", "name the one that is meant"),
    ] {
        let packed = made(name);
        server.put(name, Served::new(packed.clone()));
        let url = server.url(name);
        let output = workstation.os(&["download", &url, "-o", "os.img"]).await;
        assert_eq!(output.code, 1, "{output}");
        for words in [said, hint, "it is kept as it came: --compressed"] {
            assert!(output.stderr.contains(words), "{words}: {output}");
        }
        assert!(!output.stderr.contains("damaged"), "{output}");
        nothing_is_there(&workstation);
        let line = ["download", &url, "--compressed", "-o", "os.img", "--json"];
        let output = workstation.os(&line).await;
        output.success();
        let told: serde_json::Value = serde_json::from_str(&output.stdout).expect("one value");
        assert_eq!(told["cached"], true, "{name}");
        image_is(&workstation, &packed);
        fs_err::remove_file(workstation.home().join("os.img")).expect("a file");
    }
    workstation.os(&["cache", "clean"]).await.success();
    // One that is damaged is of no use.
    let cut = made("cut.zip");
    server.put("cut.zip", Served::new(cut[..cut.len() / 2].to_vec()));
    let url = server.url("cut.zip");
    let output = workstation.os(&["download", &url, "-o", "os.img"]).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("that is damaged"), "{output}");
    assert!(output.stderr.contains("it is not kept"), "{output}");
    let listed = workstation.os(&["cache", "list"]).await;
    assert!(listed.stdout.is_empty(), "{listed}");
}

#[tokio::test]
async fn what_is_no_image_on_this_machine_is_told_as_such() {
    let workstation = Workstation::new(None);
    workstation.write("empty.img", "");
    workstation.write("one.img", noise(1000, 66));
    workstation.write("two.img", noise(1000, 67));
    workstation.write("four.img.xz", noise(1000, 68));
    let script = "cd home && zip -q three.zip one.img two.img && rm one.img two.img";
    workstation.machine.run("sh", &["-c", script]);
    for (name, said, hint) in [
        ("empty.img", "empty.img is empty", ""),
        (
            "three.zip",
            "one.img, two.img",
            "name the one that is meant",
        ),
        (
            "four.img.xz",
            "does not begin as a file does",
            "stays where it is",
        ),
    ] {
        let url = format!("file://{}/{name}", workstation.home().display());
        let output = workstation.os(&["download", &url, "-o", "os.img"]).await;
        assert_eq!(output.code, 1, "{output}");
        assert!(
            output.stderr.contains(said) && output.stderr.contains(hint),
            "{output}"
        );
        assert!(!output.stderr.contains("not kept"), "{output}");
        nothing_is_there(&workstation);
    }
    // Of a server's, too, it is not told where we keep it.
    let server = Distribution::start(&workstation.machine, AT);
    let zip = fs_err::read(workstation.home().join("three.zip")).expect("a file");
    server.put("three.zip", Served::new(zip));
    let output = workstation
        .os(&["download", &server.url("three.zip"), "-o", "os.img"])
        .await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("one.img, two.img"), "{output}");
    assert!(!output.stderr.contains(".cache"), "{output}");
}
