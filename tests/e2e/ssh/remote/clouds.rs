//! Which cloud is asked, with whose token, and what it says.

use testkit::Namespace;
use testkit::cloud::{Cloud, DOMAIN, Tunnel};

use super::{ABSENT, APART, Afar, NAME, TOKEN, USUAL, UUID, engineless, hides};

#[tokio::test]
async fn a_token_is_seen_by_nobody_else() {
    let mut afar = Afar::new("").await;
    afar.workstation.write("token", format!("{TOKEN}\n"));
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    let script = r#"
        "$OS" ssh -i key --accept-host-key --remote "$1" -- 'echo ready; sleep 300' >ready 2>&1 & pid=$!
        until grep -q ready ready; do sleep 0.05; kill -0 $pid || exit 9; done
        cat /proc/[0-9]*/cmdline | tr '\0' '\n'
        keeper=$(pgrep -x os-ssh-keeper); echo "keeper $keeper"
        tr '\0' '\n' </proc/$keeper/environ
        kill $pid; cat ready"#;
    let seen = afar
        .workstation
        .start_program(&["bash", "-c", script, "bash", UUID])
        .output()
        .await;
    seen.success();
    assert!(seen.stdout.contains("keeper "), "{seen}");
    hides(&seen);
    // A file is read once: it may be a pipe.
    for named in ["--token-file <(cat token)", "--token-file - <token"] {
        let script = format!(
            r#"unset OSCLI_TOKEN; OSCLI_SSH_KEEP=0 "$OS" ssh -i key --remote 1a1a1a1 {named} -- 'echo in'"#
        );
        let output = afar
            .workstation
            .start_program(&["bash", "-c", &script])
            .output()
            .await;
        assert_eq!(output.stdout, "in\n", "{named}: {output}");
    }
    // Nor does it lie anywhere but where it was put.
    let found = ["grep", "-rl", "c2VjcmV0", "."];
    let found = afar.workstation.start_program(&found).output().await;
    assert_eq!(found.stdout, "./token\n", "{found}");
}

#[tokio::test]
async fn what_the_cloud_says_instead_is_told_with_what_to_do() {
    let mut afar = Afar::new("").await;
    let asked = async |afar: &Afar, uuid: &str| {
        let output = afar.ssh(&[uuid, "--remote", "--", "true"]).await;
        assert_eq!(output.code, APART, "{output}");
        hides(&output);
        output.stderr
    };
    afar.workstation.set("OSCLI_TOKEN", "wrong");
    let said = asked(&afar, UUID).await;
    assert!(
        said.contains("(407)") && said.contains("OSCLI_TOKEN"),
        "{said}"
    );
    let said = asked(&afar, "1a1a1a1").await;
    assert!(said.contains("does not take the token"), "{said}");
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    let said = asked(&afar, ABSENT).await;
    assert!(said.contains("not connected to the cloud (503)"), "{said}");
    let said = asked(&afar, "abcdef0").await;
    assert!(said.contains("knows no device of yours"), "{said}");
    let output = afar
        .ssh(&[UUID, "--remote", "--port", "2", "--", "true"])
        .await;
    assert!(
        output.stderr.contains("(500)") && output.stderr.contains("--port"),
        "{output}"
    );
    afar.cloud.refuses("429 Too Many Requests");
    let output = afar.ssh(&["1a1a1a1", "--quiet", "--", "true"]).await;
    // What the local network came to is not lost behind it.
    for words in ["asked too often", "whole uuid", "no device answers"] {
        assert!(output.stderr.contains(words), "{words}: {output}");
    }
    let endless = format!("HTTP/1.0 200 OK\r\nX: {}", "x".repeat(20_000));
    for (answer, words) in [
        (
            "HTTP/1.0 302 Found\r\nLocation: https://other.test/\r\n\r\n",
            "elsewhere (302)",
        ),
        ("HTTP/1.0 403 Forbidden\r\n\r\n", "(403)"),
        ("HTTP/1.1 405 Method Not Allowed\r\n\r\n", "no tunnel (405)"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "it is not HTTP"),
        (&endless, "longer than 8192 bytes"),
        // What speaks no SSH behind the header is as it is elsewhere.
        (
            "HTTP/1.0 200 OK\r\n\r\nhello\r\nHTTP\r\n\r\n",
            "come to terms",
        ),
    ] {
        afar.cloud.tunnel(Tunnel::Says(answer.to_owned()));
        let said = asked(&afar, UUID).await;
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(afar.entries(), 0);
}

#[tokio::test]
async fn nothing_is_said_to_a_cloud_that_nobody_vouches_for() {
    let mut afar = Afar::new("").await;
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    let other = Namespace::new();
    let other = Cloud::start(&other, &afar.device, TOKEN, &[UUID]);
    for authority in ["", other.authority()] {
        afar.workstation.set("OSCLI_CLOUD_CA", authority);
        for uuid in [UUID, "1a1a1a1"] {
            let output = afar.ssh(&[uuid, "--remote", "--", "true"]).await;
            assert_eq!(output.code, APART, "{output}");
            assert!(
                output.stderr.contains("does not prove who it is")
                    && output.stderr.contains("OSCLI_CLOUD_CA"),
                "{output}"
            );
            hides(&output);
        }
    }
    assert!(afar.cloud.asked().is_empty(), "{:?}", afar.cloud.asked());
}

#[tokio::test]
async fn a_cloud_is_asked_only_by_those_whom_it_lets_in() {
    let afar = Afar::new("").await;
    let output = afar.ssh(&[UUID, "--", "true"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(
        output.stderr.contains("no device answers") && output.stderr.contains("OSCLI_TOKEN"),
        "{output}"
    );
    let output = afar.ssh(&[UUID, "--remote", "--", "true"]).await;
    assert!(output.stderr.contains("nobody lets us in"), "{output}");
    // What the reference keeps is for its cloud, and not for the one that was named.
    afar.workstation.write(".balena/token", TOKEN);
    let output = afar.ssh(&[UUID, "--remote", "--", "true"]).await;
    assert!(output.stderr.contains("nobody lets us in"), "{output}");
    for name in ["kitchen", "10.0.0.1"] {
        let output = afar.ssh(&[name, "--remote", "--", "true"]).await;
        assert!(output.stderr.contains("by their uuids"), "{output}");
    }
    assert!(afar.cloud.asked().is_empty(), "{:?}", afar.cloud.asked());
    afar.workstation
        .write(".balenarc.yml", format!("balenaUrl: {DOMAIN}\n"));
    let output = afar.ssh(&[UUID, "--remote", "--", "echo there"]).await;
    assert_eq!(output.stdout, "there\n", "{output}");
}

/// The token that the reference's client keeps, where nothing names the cloud that it is for.
#[tokio::test]
async fn a_token_of_an_unnamed_cloud_goes_out_only_where_that_is_wanted() {
    let (lan, device, mut workstation) = engineless().await;
    let cloud = Cloud::called(
        USUAL,
        &workstation.machine,
        &device.machine,
        TOKEN,
        &[ABSENT],
    );
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    workstation.write(".balena/token", TOKEN);
    let output = workstation.os(&["ssh", ABSENT, "--", "true"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(
        output.stderr.contains("no device answers")
            && output.stderr.contains("--remote")
            && !output.stderr.contains("it is reached through"),
        "{output}"
    );
    // One that is here and does not let root in.
    let output = workstation.os(&["ssh", NAME, "--", "true"]).await;
    assert!(output.stderr.contains("does not let root in"), "{output}");
    // What plain `ssh` runs: it has none of our options.
    let name = format!("{ABSENT}.os");
    let output = workstation.os(&["ssh-proxy", &name, ABSENT, "22"]).await;
    assert!(
        output.stderr.contains(&format!("OSCLI_CLOUD={USUAL} lets"))
            && !output.stderr.contains("--remote")
            && !output.stderr.contains("--token-file"),
        "{output}"
    );
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    let output = workstation
        .os(&["ssh", ABSENT, "--remote", "--", "true"])
        .await;
    let told = format!("through the cloud {USUAL}");
    assert!(output.stderr.contains(&told), "{output}");
    assert_eq!(cloud.asked().len(), 1, "{:?}", cloud.asked());
    drop(lan);
}

/// Authorities that a variable names count for the process that keeps the connection, too.
#[tokio::test]
async fn authorities_of_the_environment_vouch_for_a_cloud() {
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let mut afar = Afar::new("").await;
        afar.workstation.set("OSCLI_TOKEN", TOKEN);
        afar.workstation.set("OSCLI_CLOUD_CA", "");
        let authority = fs_err::read(afar.cloud.authority()).expect("a certificate");
        let file = afar.workstation.write("authorities/one.pem", authority);
        afar.workstation.machine.run(
            "openssl",
            &[
                "rehash",
                &file.parent().expect("a folder").display().to_string(),
            ],
        );
        let place = if variable == "SSL_CERT_FILE" {
            file.as_path()
        } else {
            file.parent().expect("a folder")
        };
        afar.workstation.set(variable, &place.display().to_string());
        for uuid in ["1a1a1a1", UUID] {
            let output = afar.ssh(&[uuid, "--remote", "--", "echo in"]).await;
            assert_eq!(output.stdout, "in\n", "{variable}: {output}");
        }
        assert_eq!(afar.entries(), 1, "{}", afar.server.process.log());
    }
}
