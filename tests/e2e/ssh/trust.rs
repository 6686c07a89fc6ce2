//! Which server it is.

use testkit::Sshd;

use super::{APART, HERE, Pair};

#[tokio::test]
async fn a_new_key_is_refused_where_nobody_is_there_to_be_asked() {
    let pair = Pair::new("").await;
    let output = pair
        .workstation
        .os(&["ssh", HERE, "-i", "key", "--", "whoami"])
        .await;
    assert_eq!(output.code, APART, "{output}");
    assert_eq!(output.stdout, "");
    assert!(
        output.stderr.contains(&pair.server.fingerprint()),
        "{output}"
    );
    assert!(output.stderr.contains("--accept-host-key"), "{output}");
    assert!(
        !pair.server.process.log().contains("Accepted"),
        "nothing was shown to it"
    );
}

#[tokio::test]
async fn a_person_is_asked_once() {
    let pair = Pair::new("").await;
    let ssh = ["ssh", HERE, "-i", "key", "--", "echo entered"];
    let mut declined = pair.workstation.start_in_terminal(&ssh);
    declined.shows("Is it the key of").await;
    declined.press("n");
    assert_eq!(declined.output().await.code, APART);
    let mut asked = pair.workstation.start_in_terminal(&ssh);
    asked.shows("Is it the key of").await;
    assert!(asked.stdout().contains(&pair.server.fingerprint()));
    asked.press("y");
    asked.shows("entered").await;
    asked.output().await.success();
    let known = pair.workstation.os(&ssh).await;
    assert_eq!(known.stdout, "entered\n", "{known}");
    assert_eq!(known.stderr, "", "{known}");
}

#[tokio::test]
async fn a_changed_key_is_refused_whatever_was_allowed() {
    let mut pair = Pair::new("").await;
    pair.ssh(&["--", "true"]).await.success();
    let before = pair.server.fingerprint();
    pair.server.stop(&pair.workstation.machine).await;
    pair.server = Sshd::start(&pair.workstation.machine, "").await;
    pair.server.authorize(&pair.at("key.pub"));
    let output = pair.ssh(&["--", "echo secret"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert_eq!(output.stdout, "");
    let now = pair.server.fingerprint();
    for part in [before.as_str(), &now, "line 1 of", "flashed anew"] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert!(
        !pair.server.process.log().contains("Accepted"),
        "nothing was shown to it"
    );
}

#[tokio::test]
async fn an_old_server_is_refused_unless_it_is_allowed() {
    let mut pair =
        Pair::new("KexAlgorithms diffie-hellman-group14-sha1\nMACs hmac-sha1\nCiphers aes128-cbc")
            .await;
    let refused = pair.ssh(&["--", "whoami"]).await;
    assert_eq!(refused.code, APART, "{refused}");
    for part in [
        "key exchange",
        "diffie-hellman-group14-sha1",
        "OSCLI_SSH_OLD=1",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    }
    pair.workstation.set("OSCLI_SSH_OLD", "1");
    let allowed = pair.ssh(&["--", "whoami"]).await;
    assert_eq!(allowed.stdout, "root\n", "{allowed}");
}
