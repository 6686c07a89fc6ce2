//! How a device is entered: as it was typed, and as `~/.ssh/config` says.

use std::time::{Duration, Instant};

use super::{APART, HERE, Pair};

const WHO: [&str; 2] = ["--", "whoami"];
/// The server hears nothing any more, and nothing comes from it.
const CUT: &str = "iptables -I INPUT -p tcp --dport 22222 -j DROP; iptables -I INPUT -p tcp --sport 22222 -j DROP";

impl Pair {
    fn configure(&self, text: &str) {
        self.workstation.write(".ssh/config", text);
    }
}

#[tokio::test]
async fn a_port_and_an_account_are_typed_with_the_device() {
    let mut pair = Pair::new("Port 2222").await;
    let enters = async |pair: &Pair, device: &[&str]| {
        let how = ["-i", "key", "--accept-host-key", "--quiet"];
        let output = pair
            .workstation
            .os(&[&["ssh"], device, &how, &WHO].concat())
            .await;
        assert_eq!(output.stdout, "root\n", "{device:?}: {output}");
    };
    // What was typed comes before what is written.
    pair.configure("Host 127.0.0.1\n Port 1\n User nobody\n");
    for device in ["root@127.0.0.1:2222", "root@[::ffff:127.0.0.1]:2222"] {
        enters(&pair, &[device]).await;
    }
    let known = pair.at(".local/state/os/ssh/known_hosts");
    let known = fs_err::read_to_string(known).expect("host keys");
    assert!(known.contains("[127.0.0.1]:2222"), "{known}");
    assert!(pair.server.process.log().contains("port 2222"));
    pair.workstation.set("OSCLI_DEVICE", "root@127.0.0.1:2222");
    enters(&pair, &[]).await;
    let other = pair
        .ssh(&["--user", "nobody", "--port", "2222", "--", "true"])
        .await;
    assert_ne!(other.code, 0, "{other}");
    // A device of a command that has no account of its own is called the same.
    pair.workstation.set("OSCLI_DEVICE", "root@127.0.0.1");
    pair.configure("");
    let output = pair
        .workstation
        .os(&["ps", "-i", "key", "--accept-host-key"])
        .await;
    assert!(output.stderr.contains("it lets us in"), "{output}");
    // The variable's port is that of SSH for every command, and one that is typed leads around SSH.
    pair.workstation.set("OSCLI_DEVICE", "root@127.0.0.1:2222");
    let output = pair
        .workstation
        .os(&["ps", "-i", "key", "--accept-host-key"])
        .await;
    assert!(output.stderr.contains("it lets us in"), "{output}");
    for device in [
        &["127.0.0.1:2222", "--remote"][..],
        &["root@127.0.0.1:2222"],
    ] {
        let output = pair.workstation.os(&[&["ps"], device].concat()).await;
        assert!(output.stderr.contains("is for SSH"), "{output}");
    }
}

#[tokio::test]
async fn a_certificate_is_taken_from_where_the_configuration_has_it() {
    let mut pair = Pair::new("").await;
    pair.make_key("ca", &["-t", "ed25519"]);
    let trusted = format!("TrustedUserCAKeys {}", pair.path("ca.pub"));
    pair.server.stop(&pair.workstation.machine).await;
    pair.server = testkit::Sshd::start(&pair.workstation.machine, &trusted).await;
    let make = "ssh-keygen -q -s ca -I person -n root key.pub && mv key-cert.pub certificate";
    pair.sh(make).await.success();
    pair.configure("IdentityFile ~/key\n");
    let enter = ["ssh", HERE, "--accept-host-key", "--quiet", "--", "whoami"];
    let output = pair.workstation.os(&enter).await;
    assert_eq!(output.code, APART, "{output}");
    pair.configure("IdentityFile ~/key\nCertificateFile ~/certificate\n");
    let output = pair.workstation.os(&enter).await;
    assert_eq!(output.stdout, "root\n", "{output}");
    pair.configure("IdentityFile ~/key\nCertificateFile ~/ca.pub\n");
    pair.workstation.set("OSCLI_SSH_KEEP", "0");
    let output = pair.workstation.os(&enter).await;
    assert!(
        output.stderr.contains("ca.pub (not a certificate"),
        "{output}"
    );
}

#[tokio::test]
async fn algorithms_are_those_of_the_configuration_and_never_old_ones() {
    let pair = Pair::new("LogLevel DEBUG1").await;
    pair.configure("Ciphers aes256-cbc,aes192-ctr\nHostKeyAlgorithms ssh-ed25519\nMACs hmac-sha2-256-etm@openssh.com\n");
    pair.ssh(&WHO).await.success();
    let log = pair.server.process.log();
    assert!(
        log.contains("cipher: aes192-ctr MAC: hmac-sha2-256-etm@openssh.com"),
        "{log}"
    );
    pair.configure("Ciphers aes256-cbc\n");
    let output = pair.ssh(&WHO).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(
        output.stderr.contains("allows no cipher that os has"),
        "{output}"
    );
}

#[tokio::test]
async fn waits_are_those_of_the_configuration() {
    let mut pair = Pair::new("").await;
    pair.workstation.set("OSCLI_SSH_KEEP", "0");
    pair.configure("ServerAliveInterval 1\nServerAliveCountMax 1\n");
    let how = ["ssh", HERE, "-i", "key", "--accept-host-key", "--"];
    let running = pair
        .workstation
        .start(&[&how[..], &["echo ready; sleep 300"]].concat());
    running.shows("ready").await;
    pair.workstation.machine.run("sh", &["-c", CUT]);
    let cut = Instant::now();
    let output = running.output().await;
    assert_eq!(output.code, APART, "{output}");
    // Without the configuration it is 15 s at least.
    assert!(
        cut.elapsed() < Duration::from_secs(12),
        "{:?}",
        cut.elapsed()
    );
    for (text, words) in [("ConnectTimeout 1\n", "within 1 s"), ("", "within 3 s")] {
        pair.configure(text);
        let output = pair.ssh(&WHO).await;
        assert!(output.stderr.contains(words), "{words}: {output}");
    }
}

#[tokio::test]
async fn who_wants_no_new_keys_is_not_asked_about_one_and_the_rest_is_named() {
    let pair = Pair::new("").await;
    pair.configure("StrictHostKeyChecking yes\n");
    let asked = pair
        .workstation
        .start_in_terminal(&["ssh", HERE, "-i", "key", "--", "true"]);
    let output = asked.output().await;
    assert_eq!(output.code, APART, "{output}");
    assert!(!output.stdout.contains("Is it the key"), "{output}");
    // Nor is one taken for another reason, or the device reached by its plain ports.
    for command in [&["ssh", HERE][..], &["ps", HERE]] {
        let how = ["-i", "key", "--accept-host-key"];
        let output = pair.workstation.os(&[command, &how].concat()).await;
        assert_ne!(output.code, 0, "{output}");
        assert!(
            output.stderr.contains("has `StrictHostKeyChecking yes`"),
            "{output}"
        );
    }
    pair.configure(
        "StrictHostKeyChecking no\nForwardAgent yes\nUserKnownHostsFile /dev/null\nHostKeyAlias x\nProxyCommand false\n",
    );
    let output = pair.ssh(&WHO).await;
    // It names another way to the server, which even a quiet one has to know.
    assert!(output.stderr.contains("ProxyCommand"), "{output}");
    assert!(!output.stderr.contains("ForwardAgent"), "{output}");
    let how = ["ssh", HERE, "-i", "key", "--verbose", "--", "whoami"];
    let output = pair.workstation.os(&how).await;
    assert_eq!(output.stdout, "root\n", "{output}");
    for option in [
        "StrictHostKeyChecking",
        "ForwardAgent",
        "UserKnownHostsFile",
        "HostKeyAlias",
    ] {
        let named = format!("is not used in {option}:");
        assert!(output.stderr.contains(&named), "{option}: {output}");
    }
}

#[tokio::test]
async fn what_a_question_is_about_is_shown_even_when_quiet() {
    let pair = Pair::new("").await;
    let how = ["ssh", HERE, "-i", "key", "--quiet", "--", "echo entered"];
    let mut running = pair.workstation.start_in_terminal(&how);
    running.shows("Is it the key").await;
    let shown = running.stdout();
    assert!(shown.contains(&pair.server.fingerprint()), "{shown}");
    running.press("y");
    running.shows("entered").await;
    running.output().await.success();
}

#[tokio::test]
async fn a_terminal_shows_what_is_typed_after_a_passphrase_was_not_given() {
    let pair = Pair::new("").await;
    pair.make_key("locked", &["-t", "ed25519", "-N", "open sesame"]);
    pair.server.authorize(&pair.at("locked.pub"));
    let script = format!(
        "trap : INT; \"$OS\" ssh {HERE} --accept-host-key -i locked -- true; echo \"code $?\"; stty -a | grep -ow -- '-\\?echo'; echo end"
    );
    let mut running = pair
        .workstation
        .start_program_in_terminal(&["bash", "-c", &script]);
    running.shows("Passphrase of").await;
    running.press("\x03");
    running.shows("end").await;
    let output = running.output().await;
    assert!(output.stdout.contains("code 130"), "{output}");
    assert!(!output.stdout.contains("-echo"), "{output}");
}

#[tokio::test]
async fn a_terminal_shows_what_is_typed_whichever_question_was_ended_by_a_signal() {
    let pair = Pair::new("").await;
    let script = format!(
        "\"$OS\" ssh {HERE} -i key -- true; echo \"code $?\"; stty -a | grep -ow -- '-\\?\\(echo\\|icanon\\)'; echo end"
    );
    let mut running = pair
        .workstation
        .start_program_in_terminal(&["bash", "-c", &script]);
    running.shows("Is it the key").await;
    // It has to have taken the terminal by now: the first key is no answer.
    running.press("x");
    pair.sh("until stty -a -F /proc/$(pgrep -xo os)/fd/0 | grep -qw -- -icanon; do sleep 0.01; done; pkill -TERM -xo os; sleep 0.1; pkill -TERM -xo os; true")
        .await
        .success();
    running.shows("end").await;
    let output = running.output().await;
    assert!(
        !output.stdout.contains("-echo") && !output.stdout.contains("-icanon"),
        "{output}"
    );
}

#[tokio::test]
async fn certificates_are_for_keys_of_an_agent_too_and_a_key_may_have_several() {
    let mut pair = Pair::new("").await;
    pair.make_key("ca", &["-t", "ed25519"]);
    let trusted = format!("TrustedUserCAKeys {}", pair.path("ca.pub"));
    pair.server.stop(&pair.workstation.machine).await;
    pair.server = testkit::Sshd::start(&pair.workstation.machine, &trusted).await;
    pair.workstation.set("OSCLI_SSH_KEEP", "0");
    pair.sh("set -e; for who in nobody root; do ssh-keygen -q -s ca -I person -n $who key.pub; mv key-cert.pub for-$who; done")
        .await
        .success();
    let enter = format!("\"$OS\" ssh {HERE} --accept-host-key --quiet -- whoami");
    // The first one is for another account.
    pair.configure(
        "IdentityFile ~/key\nCertificateFile ~/for-nobody\nCertificateFile ~/for-root\n",
    );
    let output = pair.sh(&enter).await;
    assert_eq!(output.stdout, "root\n", "{output}");
    for settings in ["", "IdentityFile ~/key.pub\nIdentitiesOnly yes\n"] {
        pair.configure(&format!(
            "{settings}CertificateFile ~/for-nobody\nCertificateFile ~/for-root\n"
        ));
        let held = format!(
            "eval $(ssh-agent -s) >/dev/null; trap 'ssh-agent -k >/dev/null' EXIT; ssh-add -q key; mv key moved; {enter}; code=$?; mv moved key; exit $code"
        );
        let output = pair.sh(&held).await;
        assert_eq!(output.stdout, "root\n", "{settings}: {output}");
    }
}

/// Who names a certificate alone has not named its key; and an agent's key of RSA has a certificate of another name.
#[tokio::test]
async fn a_certificate_that_was_named_alone_shows_no_key() {
    let mut pair = Pair::new("").await;
    pair.make_key("ca", &["-t", "ed25519"]);
    pair.make_key("of-rsa", &["-t", "rsa", "-b", "2048"]);
    let trusted = format!("TrustedUserCAKeys {}", pair.path("ca.pub"));
    pair.server.stop(&pair.workstation.machine).await;
    pair.server = testkit::Sshd::start(&pair.workstation.machine, &trusted).await;
    pair.server.authorize(&pair.at("key.pub"));
    pair.workstation.set("OSCLI_SSH_KEEP", "0");
    pair.sh(
        "set -e; ssh-keygen -q -s ca -I person -n nobody key.pub; mv key-cert.pub for-nobody; \
         ssh-keygen -q -s ca -I person -n root of-rsa.pub; mv of-rsa-cert.pub for-root; mkdir held; mv key of-rsa held",
    )
    .await
    .success();
    let enter = format!("\"$OS\" ssh {HERE} --accept-host-key --quiet -- whoami");
    let held = format!(
        "eval $(ssh-agent -s) >/dev/null; trap 'ssh-agent -k >/dev/null' EXIT; ssh-add -q held/*; {enter}"
    );
    let alone = "IdentitiesOnly yes\nCertificateFile ~/for-nobody\n";
    pair.configure(alone);
    let output = pair.sh(&held).await;
    assert_eq!(output.code, APART, "{output}");
    pair.configure(&format!("IdentityFile ~/key.pub\n{alone}"));
    let output = pair.sh(&held).await;
    assert_eq!(output.stdout, "root\n", "{output}");
    pair.configure("IdentitiesOnly yes\nCertificateFile ~/for-root\n");
    let output = pair.sh(&held).await;
    assert_eq!(output.stdout, "root\n", "{output}");
}

#[tokio::test]
async fn an_option_that_is_not_used_is_named_once_and_stops_nobody() {
    let pair = Pair::new("").await;
    let enters = async |more: &[&str]| {
        let how = ["ssh", HERE, "-i", "key", "--accept-host-key"];
        let output = pair.workstation.os(&[&how, more, &WHO].concat()).await;
        assert_eq!(output.stdout, "root\n", "{output}");
        output.stderr
    };
    let named = |said: &str, option: &str| {
        let words = format!(".ssh/config line 1: {option} is not used here");
        said.contains(&words)
    };
    pair.configure("SendEnv LANG\n");
    assert!(named(&enters(&[]).await, "sendenv"));
    assert!(!named(&enters(&[]).await, "sendenv"));
    assert!(named(&enters(&["--verbose"]).await, "sendenv"));
    pair.configure("NoSuchOption yes\nSendEnv LANG\n");
    let said = enters(&[]).await;
    assert!(
        named(&said, "nosuchoption") && !said.contains("sendenv"),
        "{said}"
    );
}

#[tokio::test]
async fn a_device_that_tells_no_uuid_is_known_by_its_alias() {
    let pair = Pair::new("").await;
    pair.configure("HostKeyAlias bench\n");
    pair.ssh(&WHO).await.success();
    let known = pair.at(".local/state/os/ssh/known_hosts");
    let known = fs_err::read_to_string(known).expect("host keys");
    assert!(known.starts_with("[bench]:22222 "), "{known}");
}
