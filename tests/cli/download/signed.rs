//! Lists of checksums that somebody has to have signed.

use testkit::distribution::{Fate, Served};
use testkit::{Distribution, Workstation};

use super::{image_is, noise, nothing_is_there, sha256};

const AT: &str = "127.0.0.1:8080";

/// A key, in a file of its name.
fn keys(workstation: &Workstation, name: &str) {
    let script = format!(
        "cd home && mkdir -m 700 {name} && export GNUPGHOME=$PWD/{name} && \
         gpg --batch --quiet --passphrase '' --quick-gen-key {name}@x.test ed25519 sign never && \
         gpg --export >{name}.gpg && gpgconf --kill all"
    );
    workstation.machine.run("sh", &["-c", &script]);
}

/// What gpg makes of a file with it.
fn sign(workstation: &Workstation, name: &str, how: &str, file: &str) -> Vec<u8> {
    let script = format!(
        "cd home && export GNUPGHOME=$PWD/{name} && rm -f signed && gpg --batch {how} --output signed {file} && gpgconf --kill all"
    );
    workstation.machine.run("sh", &["-c", &script]);
    fs_err::read(workstation.home().join("signed")).expect("a signature")
}

#[tokio::test]
async fn only_those_who_are_trusted_can_have_signed() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 7);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    workstation.write("SHA256SUMS", &list);
    let signed = |name: &str| {
        keys(&workstation, name);
        sign(&workstation, name, "--detach-sign", "SHA256SUMS")
    };
    let (ann, eve) = (signed("ann"), signed("eve"));
    server.put("os.img", Served::new(bytes.clone()));
    server.put("SHA256SUMS", Served::new(list.clone()));
    let url = server.url("os.img");
    let with_keys = ["download", &url, "--keyring", "ann.gpg"];
    let unsigned = workstation.os(&with_keys).await;
    assert_eq!(unsigned.code, 1, "{unsigned}");
    assert!(unsigned.stderr.contains("no signed list"), "{unsigned}");
    server.put("SHA256SUMS.gpg", Served::new(eve));
    let foreign = workstation.os(&with_keys).await;
    assert_eq!(foreign.code, 1, "{foreign}");
    assert!(
        foreign.stderr.contains("is not one of the keys"),
        "{foreign}"
    );
    server.put("SHA256SUMS.gpg", Served::new(ann));
    server.put("SHA256SUMS", Served::new(format!("# hello\n{list}")));
    let changed = workstation.os(&with_keys).await;
    assert_eq!(changed.code, 1, "{changed}");
    nothing_is_there(&workstation);
    // Nothing but its first byte, to see where its address leads.
    let asked = server.ranges("os.img");
    assert_eq!(asked, [Some("bytes=0-0".to_owned())]);
    server.put("SHA256SUMS", Served::new(list));
    let trusted = workstation.os(&with_keys).await;
    trusted.success();
    assert!(
        trusted
            .stderr
            .contains("SHA256SUMS, which SHA256SUMS.gpg has signed"),
        "{trusted}"
    );
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn keys_are_read_as_they_are_handed_out() {
    let workstation = Workstation::new(None);
    let bytes = noise(1000, 16);
    workstation.write("mirror/os.img", &bytes);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    workstation.write("mirror/SHA256SUMS", list);
    let script = "cd home && mkdir -m 700 keys && export GNUPGHOME=$PWD/keys && \
        for name in eve ann; do gpg --batch --quiet --passphrase '' --quick-gen-key $name@x.test ed25519 sign never; done && \
        gpg --export --armor eve@x.test >both.asc && gpg --export --armor ann@x.test >>both.asc && gpg --export --armor eve@x.test >eve.asc && \
        gpg --batch --local-user ann@x.test --detach-sign --output mirror/SHA256SUMS.gpg mirror/SHA256SUMS && gpgconf --kill all";
    workstation.machine.run("sh", &["-c", script]);
    let with = async |keys: &str| {
        workstation
            .os(&["download", "mirror/os.img", "--keyring", keys])
            .await
    };
    let missing = with("none.gpg").await;
    assert_eq!(missing.code, 2, "{missing}");
    assert!(missing.stderr.contains("none.gpg"), "{missing}");
    let foreign = with("eve.asc").await;
    assert_eq!(foreign.code, 1, "{foreign}");
    assert!(!foreign.stderr.contains("invalid packet"), "{foreign}");
    workstation.write("broken.asc", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!\n");
    let broken = with("broken.asc").await;
    assert_eq!(broken.code, 1, "{broken}");
    assert!(broken.stderr.contains("holds no keys"), "{broken}");
    with("both.asc").await.success();
    image_is(&workstation, &bytes);
}

#[tokio::test]
async fn signed_lists_are_found_where_directions_lead() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 51);
    let list = format!("{}  os-1.0.img\n", sha256(&workstation, &bytes));
    workstation.write("SHA256SUMS", &list);
    keys(&workstation, "ann");
    let signature = sign(&workstation, "ann", "--detach-sign", "SHA256SUMS");
    let sent = |to: &str| {
        let text = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        Served::new("").fated((0..9).map(|_| Fate::Says(text.clone())))
    };
    server.put("pool/os-1.0.img", Served::new(bytes.clone()));
    server.put("pool/SHA256SUMS", Served::new(list));
    server.put("pool/SHA256SUMS.gpg", Served::new(signature));
    // The image leads there, and nothing lies beside its own address; or the list alone does.
    server.put("latest/os-1.0.img", sent("/pool/os-1.0.img"));
    server.put("other/os-1.0.img", Served::new(bytes.clone()));
    server.put("other/SHA256SUMS", sent("/pool/SHA256SUMS"));
    for (path, name) in [
        ("latest/os-1.0.img", "which SHA256SUMS.gpg has signed"),
        ("other/os-1.0.img", "which SHA256SUMS.gpg has signed"),
    ] {
        let url = server.url(path);
        let line = [
            "download",
            &url,
            "--keyring",
            "ann.gpg",
            "-o",
            "os.img",
            "--force",
        ];
        let output = workstation.os(&line).await;
        output.success();
        assert!(output.stderr.contains(name), "{output}");
        image_is(&workstation, &bytes);
    }
    keys(&workstation, "eve");
    let url = server.url("latest/os-1.0.img?x");
    let foreign = ["download", &url, "--keyring", "eve.gpg", "-o", "other.img"];
    let output = workstation.os(&foreign).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(output.stderr.contains("is not one of the keys"), "{output}");
}

#[tokio::test]
async fn who_sends_us_on_does_not_choose_which_file_is_signed() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let stranger = Distribution::start(&workstation.machine, "127.0.0.1:8081");
    let (old, new) = (noise(300_000, 54), noise(300_000, 55));
    let sums = [&old, &new].map(|bytes| sha256(&workstation, bytes));
    let list = format!("{}  os-1.0.img\n{}  os-2.0.img\n", sums[0], sums[1]);
    workstation.write("SHA256SUMS", &list);
    keys(&workstation, "ann");
    let signature = sign(&workstation, "ann", "--detach-sign", "SHA256SUMS");
    let to = stranger.url("os-1.0.img");
    let sent = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let sent = (0..9).map(|_| Fate::Says(sent.clone()));
    server.put("os-2.0.img", Served::new("").fated(sent));
    stranger.put("os-1.0.img", Served::new(old));
    stranger.put("SHA256SUMS", Served::new(list));
    stranger.put("SHA256SUMS.gpg", Served::new(signature));
    let url = server.url("os-2.0.img");
    let line = ["download", &url, "--keyring", "ann.gpg"];
    let output = workstation.os(&line).await;
    assert_eq!(output.code, 1, "{output}");
    assert!(
        output.stderr.contains(&format!("leads to {to}")),
        "{output}"
    );
    nothing_is_at(&workstation, "os-2.0.img");
}

#[tokio::test]
async fn a_page_in_place_of_a_signature_hides_no_right_one() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let stranger = Distribution::start(&workstation.machine, "127.0.0.1:8081");
    let bytes = noise(300_000, 56);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    workstation.write("SHA256SUMS", &list);
    keys(&workstation, "ann");
    let signature = sign(&workstation, "ann", "--detach-sign", "SHA256SUMS");
    let page = || Served::new("<html>not found</html>");
    server.put("os.img", Served::new(bytes.clone()));
    stranger.put("blob/sums-7", Served::new(list.clone()));
    let to = stranger.url("blob/sums-7");
    let sent = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let sent = || Served::new("").fated((0..9).map(|_| Fate::Says(sent.clone())));
    let url = server.url("os.img");
    let line = ["download", &url, "--keyring", "ann.gpg", "--force"];
    for (own, there) in [(true, false), (false, true)] {
        let pick = |is_right| {
            if is_right {
                Served::new(signature.clone())
            } else {
                page()
            }
        };
        server.put("SHA256SUMS", sent());
        server.put("SHA256SUMS.gpg", pick(own));
        stranger.put("blob/sums-7.gpg", pick(there));
        let output = workstation.os(&line).await;
        output.success();
        image_is(&workstation, &bytes);
    }
    // Nor does a list whose signature is none hide another list.
    server.put("os.img.sha256", Served::new(list.clone()));
    server.put("os.img.sha256.gpg", page());
    server.put("SHA256SUMS", Served::new(list));
    server.put("SHA256SUMS.gpg", Served::new(signature));
    workstation.os(&line).await.success();
}

#[tokio::test]
async fn a_list_may_hold_its_signature() {
    let workstation = Workstation::new(None);
    let server = Distribution::start(&workstation.machine, AT);
    let bytes = noise(300_000, 52);
    let list = format!("{}  os.img\n", sha256(&workstation, &bytes));
    workstation.write("SHA256SUMS", &list);
    keys(&workstation, "ann");
    let both = sign(&workstation, "ann", "--clear-sign", "SHA256SUMS");
    server.put("os.img", Served::new(bytes.clone()));
    let url = server.url("os.img");
    let line = ["download", &url, "--keyring", "ann.gpg", "--force"];
    // Alone, beside a list without one, and under that one's name.
    for (names, place) in [
        (&["SHA256SUMS.asc"][..], "SHA256SUMS.asc, which is signed"),
        (
            &["SHA256SUMS.asc", "plain"],
            "SHA256SUMS.asc, which is signed",
        ),
        (&["SHA256SUMS"], "SHA256SUMS, which is signed"),
    ] {
        for name in names {
            match *name {
                "plain" => server.put("SHA256SUMS", Served::new(list.clone())),
                name => server.put(name, Served::new(both.clone())),
            }
        }
        let output = workstation.os(&line).await;
        output.success();
        assert!(output.stderr.contains(place), "{output}");
        image_is(&workstation, &bytes);
        for name in ["SHA256SUMS", "SHA256SUMS.asc"] {
            server.remove(name);
        }
    }
    let text = String::from_utf8(both).expect("a text");
    let other = format!("{}  os.img", "0".repeat(64));
    for (changed, said) in [
        (text.replace(list.trim(), &other), "is not one of the keys"),
        // What stands in front of it is not signed.
        (format!("{other}\n{text}"), "no signed list"),
    ] {
        server.put("SHA256SUMS.asc", Served::new(changed));
        let output = workstation.os(&line).await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains(said), "{output}");
    }
    keys(&workstation, "eve");
    server.put("SHA256SUMS.asc", Served::new(text));
    let foreign = ["download", &url, "--keyring", "eve.gpg", "-o", "other.img"];
    let output = workstation.os(&foreign).await;
    assert_eq!(output.code, 1, "{output}");
    nothing_is_at(&workstation, "other.img");
}

#[track_caller]
fn nothing_is_at(workstation: &Workstation, name: &str) {
    assert!(!workstation.home().join(name).exists(), "{name} is there");
}
