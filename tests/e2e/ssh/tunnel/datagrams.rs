//! UDP, which `os-agent` on the device carries.

use std::net::SocketAddr;

use testkit::{Namespace, programs::built, sshd::NO_STARTUP};
use tokio::{net::UdpSocket, task::JoinSet};

use super::{HERE, Tunnel, at};
use crate::ssh::Pair;

/// A server whose shell finds the built `os-agent`.
async fn with_agent() -> Pair {
    let agent = built("os-agent");
    let folder = agent.parent().expect("a folder").display();
    Pair::new(&format!("SetEnv {NO_STARTUP} PATH={folder}:/usr/bin:/bin")).await
}

fn socket(machine: &Namespace, port: u16) -> UdpSocket {
    let socket = machine.inside(|| std::net::UdpSocket::bind(at(port)));
    let socket = socket.expect("a port");
    socket.set_nonblocking(true).expect("a socket");
    UdpSocket::from_std(socket).expect("a socket")
}

/// Sends back what it gets.
async fn echo(socket: UdpSocket) {
    let mut buffer = vec![0; 65_536];
    while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
        socket.send_to(&buffer[..count], from).await.expect("sent");
    }
}

/// Asks until it is answered: datagrams may be lost.
async fn asked(client: &UdpSocket, to: SocketAddr, question: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    loop {
        client.send_to(question, to).await.expect("sent");
        let answer = client.recv_from(&mut buffer);
        if let Ok(answer) = tokio::time::timeout(std::time::Duration::from_secs(2), answer).await {
            let (count, from) = answer.expect("an answer");
            assert_eq!(from, to);
            return buffer[..count].to_vec();
        }
    }
}

#[tokio::test]
async fn datagrams_of_every_size_keep_their_bounds_and_their_sender() {
    let pair = with_agent().await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    servers.spawn(echo(socket(machine, 5353)));
    let tunnel = Tunnel::start(&pair, &["5353/udp:9053", "5353/udp:0"]).await;
    let (one, other) = (socket(machine, 0), socket(machine, 0));
    for size in [0, 1, 1472, 65_507] {
        for (client, byte) in [(&one, b'1'), (&other, b'2')] {
            let question = vec![byte; size];
            let answer = asked(client, at(9053), &question).await;
            assert!(answer == question, "{size}: {} bytes", answer.len());
        }
    }
    let opened = tunnel.events("opened", 2).await;
    let from = |client: &UdpSocket| client.local_addr().expect("an address").to_string();
    assert_eq!(opened[0]["from"], from(&one));
    assert_eq!(opened[1]["from"], from(&other));
    assert_eq!(opened[0]["forward"], "5353/udp:localhost:9053");

    // Many senders at once, each answered with its own.
    let mut senders = JoinSet::new();
    for number in 0_u16..50 {
        let client = socket(machine, 0);
        senders.spawn(async move {
            for count in 0_u16..10 {
                let question = [number.to_be_bytes(), count.to_be_bytes()].concat();
                // One that was asked for twice may be answered twice.
                while asked(&client, at(9053), &question).await != question {}
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.expect("a sender");
    }
    let told = tunnel.stop(&pair).await;
    let closed: Vec<_> = told
        .iter()
        .filter(|event| event["event"] == "closed")
        .collect();
    assert_eq!(closed.len(), 52);
    assert_eq!(closed[0]["outcome"], "stopped");
    let sent = closed[0]["toDevice"].as_u64().expect("a number");
    assert!(sent >= 66_980, "{sent}");
}

#[tokio::test]
async fn answers_come_from_the_address_that_was_asked() {
    let pair = with_agent().await;
    let machine = &pair.workstation.machine;
    machine.run("ip", &["address", "add", "10.9.9.9/32", "dev", "lo"]);
    let mut servers = JoinSet::new();
    servers.spawn(echo(socket(machine, 5353)));
    let tunnel = Tunnel::start(&pair, &["5353/udp:0.0.0.0:9053"]).await;
    let client = socket(machine, 0);
    for ip in [[10, 9, 9, 9], [127, 0, 0, 1]] {
        let answer = asked(&client, (ip, 9053).into(), &ip).await;
        assert_eq!(answer, ip);
    }
    let listening = &tunnel.events("listening", 1).await[0];
    assert_eq!(listening["at"], serde_json::json!(["0.0.0.0:9053"]));
    // None of them is shared with others.
    for ip in ["0.0.0.0", "10.9.9.9"] {
        let taken = format!("53/udp:{ip}:9053");
        let output = pair.workstation.os(&["tunnel", HERE, &taken]).await;
        assert_eq!(output.code, 1, "{output}");
    }
}

#[tokio::test]
async fn a_udp_port_on_which_nobody_listens_is_told_and_may_come_to_life() {
    let pair = with_agent().await;
    let machine = &pair.workstation.machine;
    let tunnel = Tunnel::start(&pair, &["5353/udp:9053"]).await;
    let client = socket(machine, 0);
    client.send_to(b"anybody?", at(9053)).await.expect("sent");
    let trouble = &tunnel.events("trouble", 1).await[0];
    let why = trouble["why"].as_str().expect("words");
    assert!(why.contains("5353") && why.contains("refused"), "{why}");
    let mut servers = JoinSet::new();
    servers.spawn(echo(socket(machine, 5353)));
    assert_eq!(asked(&client, at(9053), b"now").await, b"now");
}

#[tokio::test]
async fn datagrams_pass_again_when_the_device_is_back() {
    let mut pair = with_agent().await;
    let mut servers = JoinSet::new();
    servers.spawn(echo(socket(&pair.workstation.machine, 5353)));
    let tunnel = Tunnel::start(&pair, &["5353/udp:9053"]).await;
    let client = socket(&pair.workstation.machine, 0);
    assert_eq!(asked(&client, at(9053), b"before").await, b"before");
    pair.server.cut(&pair.workstation.machine).await;
    let closed = &tunnel.events("closed", 1).await[0];
    assert_eq!(closed["toDevice"], 6, "{closed}");
    assert_eq!(closed["outcome"], "failed", "{closed}");
    pair.server.start_again(&pair.workstation.machine).await;
    while asked(&client, at(9053), b"after").await != b"after" {}
}

#[tokio::test]
async fn a_device_without_the_agent_says_what_is_missing() {
    let pair = Pair::new("").await;
    let udp = [
        "tunnel",
        HERE,
        "--accept-host-key",
        "-i",
        "key",
        "53/udp:9053",
    ];
    let output = pair.workstation.os(&udp).await;
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("it has no os-agent"), "{output}");
    // One that knows no such command.
    let folder = pair.at("old");
    fs_err::create_dir(&folder).expect("a folder");
    let old = pair
        .workstation
        .write("old/os-agent", "#!/bin/sh\nexit 2\n");
    pair.workstation
        .machine
        .run("chmod", &["755", &old.display().to_string()]);
    let path = format!(
        "SetEnv {NO_STARTUP} PATH={}:/usr/bin:/bin",
        folder.display()
    );
    let mut pair = pair;
    pair.server.process.terminate().await;
    pair.server = testkit::Sshd::start(&pair.workstation.machine, &path).await;
    pair.server.authorize(&pair.at("key.pub"));
    pair.workstation.os(&["ssh-forget", HERE]).await;
    let output = pair.workstation.os(&udp).await;
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("too old"), "{output}");
}
