//! Who is let in.

use super::{APART, HERE, Pair};

const WHO: [&str; 2] = ["--", "whoami"];

#[tokio::test]
async fn keys_of_every_kind_and_format_open() {
    let pair = Pair::new("").await;
    let kinds: [(&str, &[&str]); 7] = [
        ("ed25519", &["-t", "ed25519"]),
        ("ecdsa", &["-t", "ecdsa"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa-pkcs8", &["-t", "ecdsa", "-m", "PKCS8"]),
    ];
    for (name, options) in kinds {
        pair.make_key(name, options);
        pair.server.authorize(&pair.at(&format!("{name}.pub")));
        let output = pair.with_key(name, &WHO).await;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (0, "root\n"),
            "{name}: {output}"
        );
        assert_eq!(output.stderr, "", "{name}");
    }
}

#[tokio::test]
async fn another_key_is_refused_with_what_was_tried_and_what_is_taken() {
    let pair = Pair::new("").await;
    pair.make_key("other", &["-t", "ed25519"]);
    let output = pair.with_key("other", &WHO).await;
    assert_eq!(output.code, APART, "{output}");
    assert_eq!(output.stdout, "");
    for part in [
        "does not let root in",
        "no key",
        "other (ssh-ed25519)",
        "it takes publickey",
        "os.sshKeys",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
}

#[tokio::test]
async fn a_key_that_others_may_read_is_not_used() {
    let pair = Pair::new("").await;
    pair.workstation
        .machine
        .run("chmod", &["644", &pair.path("key")]);
    let output = pair.ssh(&WHO).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(output.stderr.contains("chmod 600"), "{output}");
}

#[tokio::test]
async fn development_mode_needs_no_key_and_reads_none() {
    let pair = Pair::new("PasswordAuthentication yes\nPermitEmptyPasswords yes").await;
    pair.workstation
        .machine
        .run("passwd", &["--delete", "root"]);
    let output = pair.with_key("missing", &WHO).await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, "root\n"),
        "{output}"
    );
}

#[tokio::test]
async fn an_agent_is_asked_and_the_key_that_is_named_comes_first() {
    let pair = Pair::new("MaxAuthTries 3").await;
    for name in ["a", "b", "c", "d"] {
        pair.make_key(name, &["-t", "ed25519"]);
    }
    let script = |options: &str| {
        format!(
            "eval $(ssh-agent -s) >/dev/null; trap 'ssh-agent -k >/dev/null' EXIT; ssh-add -q a b c d key; mv key moved;
             \"$OS\" ssh {HERE} --quiet --accept-host-key {options} -- whoami; code=$?; mv moved key; exit $code"
        )
    };
    let all = pair.sh(&script("")).await;
    assert_eq!(all.code, APART, "{all}");
    assert!(
        all.stderr.contains("--identity FILE shows that one only"),
        "{all}"
    );
    let named = pair.sh(&script("--identity key.pub")).await;
    assert_eq!(
        (named.code, named.stdout.as_str()),
        (0, "root\n"),
        "{named}"
    );
}

#[tokio::test]
async fn a_certificate_opens_where_its_key_alone_does_not() {
    let mut pair = Pair::new("").await;
    pair.make_key("ca", &["-t", "ed25519"]);
    let trusted = format!("TrustedUserCAKeys {}", pair.path("ca.pub"));
    pair.server.stop(&pair.workstation.machine).await;
    pair.server = testkit::Sshd::start(&pair.workstation.machine, &trusted).await;
    assert_eq!(pair.ssh(&WHO).await.code, APART);
    let at = pair.path("key.pub");
    let known = pair
        .workstation
        .home()
        .join(".local/state/os/ssh/known_hosts");
    assert!(known.exists(), "the server is known");
    let authority = pair.path("ca");
    pair.workstation.machine.run(
        "ssh-keygen",
        &["-q", "-s", &authority, "-I", "person", "-n", "root", &at],
    );
    let output = pair.ssh(&WHO).await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, "root\n"),
        "{output}"
    );
}

#[tokio::test]
async fn a_passphrase_is_asked_for_in_a_terminal_and_not_without() {
    let pair = Pair::new("").await;
    for (name, options) in [
        ("locked", &["-t", "ed25519", "-N", "open sesame"][..]),
        ("pem", &["-t", "rsa", "-m", "PKCS8", "-N", "open sesame"]),
    ] {
        pair.make_key(name, options);
        pair.server.authorize(&pair.at(&format!("{name}.pub")));
        let silent = pair.with_key(name, &WHO).await;
        assert_eq!(silent.code, APART, "{silent}");
        assert!(silent.stderr.contains("needs a passphrase"), "{silent}");
        let mut running = pair.workstation.start_in_terminal(&[
            "ssh",
            HERE,
            "--accept-host-key",
            "--identity",
            name,
            "--",
            "echo entered",
        ]);
        running.shows("Passphrase of").await;
        running.hides().await;
        running.press("wrong\r");
        running.shows("That was wrong").await;
        running.hides().await;
        running.press("open sesame\r");
        running.shows("entered").await;
        let output = running.output().await;
        output.success();
        assert!(!output.stdout.contains("sesame"), "{output}");
    }
}

#[tokio::test]
async fn a_key_that_the_server_would_not_take_needs_no_passphrase() {
    let pair = Pair::new("").await;
    pair.make_key("locked", &["-t", "ed25519", "-N", "open sesame"]);
    let running = pair.workstation.start_in_terminal(&[
        "ssh",
        HERE,
        "--accept-host-key",
        "--identity",
        "locked",
        "--identity",
        "key",
        "--",
        "echo entered",
    ]);
    let output = running.output().await;
    output.success();
    assert!(!output.stdout.contains("Passphrase"), "{output}");
}
