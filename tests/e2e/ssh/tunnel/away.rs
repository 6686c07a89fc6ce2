//! The device goes away and comes back.

use testkit::until;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use super::{HERE, Tunnel, at, exchange, server};
use crate::ssh::Pair;

#[tokio::test]
async fn what_listens_goes_on_listening_while_the_device_starts_anew() {
    let mut pair = Pair::new("").await;
    let mut servers = JoinSet::new();
    server(&pair.workstation.machine, &mut servers, 8080, "web ");
    let tunnel = Tunnel::start(&pair, &["8080:9080"]).await;
    let machine = &pair.workstation.machine;
    let mut open = machine.connect(at(9080)).expect("a port");
    open.read_exact(&mut [0; 4]).await.expect("a greeting");

    pair.server.cut(machine).await;
    open.read(&mut [0]).await.expect_err("no proper end");
    tunnel.events("lost", 1).await;
    let closed = &tunnel.events("closed", 1).await[0];
    assert_eq!(closed["fromDevice"], 4, "{closed}");
    let why = closed["why"].as_str().expect("a reason");
    assert!(why.contains("the device is gone"), "{why}");

    // It waits, and is served in the end.
    let waiting = machine.connect(at(9080)).expect("a port");
    tunnel.events("stillAway", 1).await;
    pair.server.start_again(&pair.workstation.machine).await;
    assert_eq!(exchange(waiting, b"at last").await, b"web at last");
    tunnel.events("back", 1).await;

    // As often as it likes.
    pair.server.cut(&pair.workstation.machine).await;
    tunnel.events("lost", 2).await;
    pair.server.start_again(&pair.workstation.machine).await;
    let client = pair.workstation.machine.connect(at(9080));
    let client = client.expect("a port");
    assert_eq!(exchange(client, b"again").await, b"web again");
}

#[tokio::test]
async fn who_waits_too_long_is_told_and_ctrl_c_ends_the_waiting() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let tunnel = Tunnel::start(&pair, &["8080:9080"]).await;
    pair.server.cut(machine).await;
    tunnel.events("lost", 1).await;
    let mut waiting = machine.connect(at(9080)).expect("a port");
    waiting.read(&mut [0]).await.expect_err("no proper end");
    let closed = &tunnel.events("closed", 1).await[0];
    assert_eq!(closed["why"], "the device was away for 30 s", "{closed}");
    tunnel.stop(&pair).await;
}

#[tokio::test]
async fn in_reverse_the_device_is_asked_to_listen_again() {
    let mut pair = Pair::new("").await;
    let mut servers = JoinSet::new();
    server(&pair.workstation.machine, &mut servers, 3000, "here ");
    let socket = pair.path("there.sock");
    let by_path = format!("{socket}:3000");
    let tunnel = Tunnel::start(&pair, &["--reverse", "8080:3000", "0:3000", &by_path]).await;
    let chosen = tunnel.events("listening", 3).await[1]["at"][0].clone();
    // A server that is killed leaves its socket behind; one whose machine starts anew does not. Either is no obstacle.
    pair.server.cut(&pair.workstation.machine).await;
    assert!(std::path::Path::new(&socket).exists());
    tunnel.events("lost", 1).await;
    pair.server.start_again(&pair.workstation.machine).await;
    let listening = tunnel.events("listening", 6).await;
    let again =
        |place: &serde_json::Value| listening[3..].iter().any(|event| event["at"][0] == *place);
    assert!(again(&chosen), "the same one: {listening:?}");
    let machine = &pair.workstation.machine;
    let client = machine.connect(at(8080)).expect("a port");
    assert_eq!(exchange(client, b"x").await, b"here x");
    let stream = tokio::net::UnixStream::connect(&socket).await;
    let mut stream = stream.expect("a connection");
    stream.write_all(b"y").await.expect("written");
    stream.shutdown().await.expect("ended");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "here y");
}

#[tokio::test]
async fn in_reverse_a_connection_that_breaks_off_is_no_proper_end_here() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let service = machine.listen(at(3000)).expect("a port");
    let tunnel = Tunnel::start(&pair, &["--reverse", "8080:3000"]).await;
    let mut client = machine.connect(at(8080)).expect("a port");
    let (mut here, _) = service.accept().await.expect("a connection");
    client.write_all(b"half").await.expect("written");
    here.read_exact(&mut [0; 4]).await.expect("what was sent");
    pair.server.cut(machine).await;
    let error = here.read(&mut [0]).await.expect_err("no proper end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    tunnel.events("lost", 1).await;
}

#[tokio::test]
async fn another_device_that_has_come_in_its_place_ends_the_tunnel() {
    let mut pair = Pair::new("").await;
    let tunnel = Tunnel::start(&pair, &["8080:9080"]).await;
    pair.server.cut(&pair.workstation.machine).await;
    tunnel.events("lost", 1).await;
    // With a key of its own.
    pair.server = testkit::Sshd::start(&pair.workstation.machine, "").await;
    pair.server.authorize(&pair.at("key.pub"));
    let output = tunnel.running.output().await;
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("another one is known"), "{output}");
}

#[tokio::test]
async fn why_a_device_stays_away_is_told_once() {
    let mut pair = Pair::new("LogLevel VERBOSE").await;
    let all = [
        "tunnel",
        HERE,
        "--accept-host-key",
        "-i",
        "key",
        "8080:9080",
    ];
    let running = pair.workstation.start(&all);
    running.says("is port 8080 of").await;
    pair.server.cut(&pair.workstation.machine).await;
    running.says("what listens here goes on listening").await;
    // It is back, and lets nobody in.
    fs_err::write(pair.at("nobody.pub"), "").expect("written");
    pair.server.authorize(&pair.at("nobody.pub"));
    pair.server.start_again(&pair.workstation.machine).await;
    running.says("does not let root in").await;
    let tries = || pair.server.process.log().matches("Connection from").count();
    let before = tries();
    until("it was tried again", async || {
        (tries() >= before + 2).then_some(())
    })
    .await;
    pair.server.authorize(&pair.at("key.pub"));
    running.says("is back").await;
    let told = running.stderr();
    assert_eq!(told.matches("does not let root in").count(), 1, "{told}");
}
