//! Where is listened, and to where is connected: ports, sockets, both directions.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

use super::{HERE, Tunnel, at, exchange, server};
use crate::ssh::Pair;

#[tokio::test]
async fn a_taken_port_is_named_and_a_free_one_taken_only_where_it_is_asked_for() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "web ");
    let taken = ["tunnel", HERE, "-i", "key", "8081:9081", "8080"];
    let output = pair.workstation.os(&taken).await;
    assert_eq!(output.code, 1, "{output}");
    for part in [
        "cannot listen at localhost:8080 for 8080:localhost:8080",
        "in use",
        "8080:0 takes one that is free",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
    assert!(
        !pair.server.process.log().contains("Connection from"),
        "the device need not be asked for that"
    );
    let tunnel = Tunnel::start(&pair, &["8080:0"]).await;
    let listening = &tunnel.events("listening", 1).await[0];
    let places = listening["at"].as_array().expect("places");
    let places: Vec<std::net::SocketAddr> = places
        .iter()
        .map(|place| {
            place
                .as_str()
                .expect("a place")
                .parse()
                .expect("an address")
        })
        .collect();
    let [v4, v6] = places[..] else {
        panic!("{places:?}")
    };
    assert_eq!(v4.port(), v6.port(), "one number for both");
    for place in [v4, v6] {
        let client = machine.connect(place).expect("a port");
        assert_eq!(exchange(client, b"x").await, b"web x", "{place}");
    }
}

#[tokio::test]
async fn only_loopback_is_listened_at_unless_more_is_asked_for() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    machine.run("ip", &["address", "add", "10.9.9.9/32", "dev", "lo"]);
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "web ");
    let forwards = ["8080:9080", "8080:0.0.0.0:9081", "8080:[::1]:9082"];
    let _tunnel = Tunnel::start(&pair, &forwards).await;
    let outside = |port| std::net::SocketAddr::from(([10, 9, 9, 9], port));
    let refused = machine.connect(outside(9080)).expect_err("not listened at");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    for place in [at(9080), outside(9081), "[::1]:9082".parse().expect("one")] {
        let client = machine.connect(place).expect("a port");
        assert_eq!(exchange(client, b"x").await, b"web x", "{place}");
    }
    machine.connect(at(9082)).expect_err("not listened at");
}

#[tokio::test]
async fn sockets_with_paths_stand_on_either_side() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "web ");
    let there = pair.path("there.sock");
    let here = pair.at("here.sock");
    // Somebody has left it behind.
    drop(UnixListener::bind(&here).expect("a socket"));
    let device = UnixListener::bind(&there).expect("a socket");
    let (to_socket, to_path) = (format!("{there}:9080"), "8080:./here.sock");
    let tunnel = Tunnel::start(&pair, &[&to_socket, to_path]).await;

    let mut client = machine.connect(at(9080)).expect("a port");
    let (mut stream, _) = device.accept().await.expect("a connection");
    client.write_all(b"question").await.expect("written");
    client.shutdown().await.expect("ended");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "question");
    stream.write_all(b"answer").await.expect("written");
    drop(stream);
    heard.clear();
    client.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "answer");

    let found = fs_err::metadata(&here).expect("the socket");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600, "ours alone");
    let mut client = UnixStream::connect(&here).await.expect("a connection");
    client.write_all(b"x").await.expect("written");
    client.shutdown().await.expect("ended");
    heard.clear();
    client.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "web x");

    // It is in use now, and what is no socket is nobody's to remove.
    let file = pair.workstation.write("file", "mine");
    for path in ["./here.sock", "./file"] {
        let forward = format!("8080:{path}");
        let output = pair.workstation.os(&["tunnel", HERE, &forward]).await;
        assert_eq!(output.code, 1, "{output}");
        assert!(output.stderr.contains("in use"), "{output}");
    }
    assert_eq!(fs_err::read_to_string(file).expect("the file"), "mine");
    tunnel.stop(&pair).await;
    assert!(!here.exists(), "it goes with the tunnel");
}

#[tokio::test]
async fn in_reverse_the_device_listens_and_ports_and_sockets_here_answer() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 3000, "here ");
    let here = UnixListener::bind(pair.at("here.sock")).expect("a socket");
    let there = pair.path("there.sock");
    let path_to_port = format!("{there}:3000");
    let forwards = [
        "--reverse",
        "8080:3000",
        "0:3000",
        "8081:./here.sock",
        "8082:3001",
        &path_to_port,
    ];
    let tunnel = Tunnel::start(&pair, &forwards).await;
    let client = machine.connect(at(8080)).expect("a port");
    assert_eq!(exchange(client, b"x").await, b"here x");

    let chosen = &tunnel.events("listening", 5).await[1]["at"][0];
    let port = chosen
        .as_str()
        .and_then(|place| place.strip_prefix("localhost:"));
    let port = port.expect("a port").parse().expect("a number");
    let client = machine.connect(at(port)).expect("a port");
    assert_eq!(exchange(client, b"y").await, b"here y");

    let mut client = machine.connect(at(8081)).expect("a port");
    let (mut stream, _) = here.accept().await.expect("a connection");
    stream.write_all(b"by a socket").await.expect("written");
    drop(stream);
    let mut heard = String::new();
    client.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "by a socket");
    drop(client);

    let mut client = UnixStream::connect(&there).await.expect("a connection");
    client.write_all(b"z").await.expect("written");
    client.shutdown().await.expect("ended");
    heard.clear();
    client.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "here z");
    drop(client);

    // Nobody listens there, and who asked is not kept waiting.
    let mut client = machine.connect(at(8082)).expect("a port");
    let ended = client
        .read(&mut [0])
        .await
        .expect("an end that sshd makes a proper one");
    assert_eq!(ended, 0);
    let closed = tunnel.events("closed", 5).await;
    let failed = closed.iter().find(|event| event["outcome"] == "failed");
    let why = failed.expect("a failure")["why"].as_str().expect("words");
    assert!(why.contains("cannot reach localhost:3001"), "{why}");

    // The device says so when a port is not to be had.
    let again = ["tunnel", HERE, "--reverse", "-i", "key", "8080:3000"];
    let output = pair.workstation.os(&again).await;
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains("listen at port 8080"), "{output}");
}

#[tokio::test]
async fn a_socket_that_somebody_has_on_the_device_is_not_removed() {
    // To this server, all sockets look forsaken.
    let pair = Pair::new("AllowStreamLocalForwarding remote").await;
    let there = pair.path("there.sock");
    let machine = &pair.workstation.machine;
    let theirs = machine.inside(|| std::os::unix::net::UnixListener::bind(&there));
    let theirs = theirs.expect("a socket");
    let forward = format!("{there}:3000");
    let asked = ["tunnel", HERE, "--reverse", "--accept-host-key"];
    let output = pair
        .workstation
        .os(&[&asked[..], &["-i", "key", &forward]].concat())
        .await;
    assert_eq!(output.code, 4, "{output}");
    assert!(output.stderr.contains(&there), "{output}");
    std::os::unix::net::UnixStream::connect(&there).expect("it is still theirs");
    // It is left behind, and in nobody's way any more.
    drop(theirs);
    let _tunnel = Tunnel::start(&pair, &["--reverse", &forward]).await;
}

#[tokio::test]
async fn words_that_mean_no_forward_are_refused_before_anything_is_done() {
    let pair = Pair::new("").await;
    for (words, part) in [
        (&["80:example.org:80"][..], "is no PORT"),
        (&["80:8080", "81:8080"], "listen at the same place"),
        (&["53/udp", "--reverse"], "with --reverse there is no UDP"),
        (&["80:[::1"], "in brackets"),
        (&[], "required"),
    ] {
        let mut all = vec!["tunnel", HERE];
        all.extend(words);
        let output = pair.workstation.os(&all).await;
        assert_eq!(output.code, 2, "{output}");
        assert!(output.stderr.contains(part), "{part}: {output}");
    }
}
