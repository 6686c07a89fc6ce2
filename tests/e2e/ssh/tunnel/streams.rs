//! What passes through TCP connections.

use testkit::until;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{HERE, Tunnel, at, bytes, exchange, server};
use crate::ssh::Pair;

const MEGABYTES: usize = 5_000_000;

#[tokio::test]
async fn several_forwards_pass_megabytes_both_ways_at_once_and_tell_of_them() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "web ");
    server(machine, &mut servers, 8081, "api ");
    let tunnel = Tunnel::start(&pair, &["8080:9080", "8081:9081"]).await;
    let question = bytes(MEGABYTES);
    let mut talks = JoinSet::new();
    for (port, name) in [(9080, "web "), (9081, "api "), (9080, "web ")] {
        let (stream, question) = (machine.connect(at(port)).expect("a port"), question.clone());
        talks.spawn(async move {
            let answer = exchange(stream, &question).await;
            assert!(
                answer.starts_with(name.as_bytes()),
                "another server answers"
            );
            assert!(answer[name.len()..] == question, "not as it was sent");
        });
    }
    while let Some(ended) = talks.join_next().await {
        ended.expect("a talk");
    }
    for closed in tunnel.events("closed", 3).await {
        assert_eq!(closed["outcome"], "done", "{closed}");
        assert_eq!(closed["toDevice"], MEGABYTES, "{closed}");
        assert_eq!(closed["fromDevice"], MEGABYTES + 4, "{closed}");
    }
    let opened = tunnel.events("opened", 3).await;
    assert_eq!(
        (&opened[0]["connection"], &opened[2]["connection"]),
        (&1.into(), &3.into())
    );
    let from = opened[0]["from"].as_str().expect("an address");
    assert!(from.starts_with("127.0.0.1:"), "{from}");
}

#[tokio::test]
async fn a_direction_that_has_ended_leaves_the_other_one_open() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let listener = machine.listen(at(8080)).expect("a port");
    let _tunnel = Tunnel::start(&pair, &["8080:9080"]).await;
    let mut client = machine.connect(at(9080)).expect("a port");
    let (mut device, _) = listener.accept().await.expect("a connection");
    client.write_all(b"all of it").await.expect("written");
    client.shutdown().await.expect("ended");
    let mut heard = String::new();
    device.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "all of it");
    // Only now, and in two parts.
    for part in ["the ", "answer"] {
        device.write_all(part.as_bytes()).await.expect("written");
        let mut heard = vec![0; part.len()];
        client.read_exact(&mut heard).await.expect("a part");
        assert_eq!(heard, part.as_bytes());
    }
    device.shutdown().await.expect("ended");
    assert_eq!(client.read(&mut [0]).await.expect("its end"), 0);
}

#[tokio::test]
async fn a_hundred_connections_are_open_at_once() {
    // Streams are no sessions: the server's bound on those is none on these.
    let pair = Pair::new("MaxSessions 1").await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "#");
    let tunnel = Tunnel::start(&pair, &["8080:9080"]).await;
    let mut clients: Vec<TcpStream> = (0..100)
        .map(|_| machine.connect(at(9080)).expect("a port"))
        .collect();
    for client in &mut clients {
        assert_eq!(client.read_u8().await.expect("a greeting"), b'#');
    }
    tunnel.events("opened", 100).await;
    for (number, client) in (0_u32..).zip(&mut clients) {
        client.write_u32(number).await.expect("written");
    }
    for (number, client) in (0_u32..).zip(&mut clients) {
        assert_eq!(client.read_u32().await.expect("an echo"), number);
    }
    assert!(tunnel.told().iter().all(|event| event["event"] != "closed"));
    drop(clients);
    for closed in tunnel.events("closed", 100).await {
        assert_eq!(closed["toDevice"], 4, "{closed}");
    }
}

#[tokio::test]
async fn one_that_is_not_read_holds_up_no_other() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let listener = machine.listen(at(8080)).expect("a port");
    let _tunnel = Tunnel::start(&pair, &["8080:9080"]).await;
    // Much is sent to a client that reads nothing.
    let _idle = machine.connect(at(9080)).expect("a port");
    let (mut device, _) = listener.accept().await.expect("a connection");
    let mut flood = JoinSet::new();
    let stuck = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let sent = std::sync::Arc::clone(&stuck);
    flood.spawn(async move {
        let piece = bytes(100_000);
        while device.write_all(&piece).await.is_ok() {
            sent.fetch_add(piece.len(), std::sync::atomic::Ordering::Relaxed);
        }
    });
    let mut before = 0;
    until("nothing more fits in", async || {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let now = stuck.load(std::sync::atomic::Ordering::Relaxed);
        let is_stuck = now == before && now > 0;
        before = now;
        is_stuck.then_some(())
    })
    .await;
    let client = machine.connect(at(9080)).expect("a port");
    let (mut device, _) = listener.accept().await.expect("a connection");
    let echo = async {
        let (mut read, mut write) = device.split();
        tokio::io::copy(&mut read, &mut write)
            .await
            .expect("an echo");
        write.shutdown().await.expect("ended");
    };
    let question = bytes(1_000_000);
    let (answer, ()) = tokio::join!(exchange(client, &question), echo);
    assert!(answer == question, "not as it was sent");
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_resets_who_connects_and_is_told() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let tunnel = Tunnel::start(&pair, &["8080:9080"]).await;
    let mut client = machine.connect(at(9080)).expect("a port");
    let read = client.read(&mut [0]).await;
    let error = read.expect_err("no proper end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let closed = &tunnel.events("closed", 1).await[0];
    assert_eq!(closed["outcome"], "failed", "{closed}");
    let why = closed["why"].as_str().expect("a reason");
    assert!(
        why.contains("refused a connection to localhost port 8080: nothing listens there"),
        "{why}"
    );
    // Nothing else has suffered.
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "now ");
    let client = machine.connect(at(9080)).expect("a port");
    assert_eq!(exchange(client, b"there").await, b"now there");
    // Ctrl-C is the proper end, also for those who are connected.
    let _open = machine.connect(at(9080)).expect("a port");
    tunnel.events("opened", 3).await;
    let told = tunnel.stop(&pair).await;
    let last = told.last().expect("events");
    assert_eq!(
        (&last["event"], &last["connection"], &last["outcome"]),
        (&"closed".into(), &3.into(), &"stopped".into()),
        "{last}"
    );
}

#[tokio::test]
async fn people_are_told_in_lines_and_when_quiet_only_of_what_goes_wrong() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "web ");
    let start = |flags: &[&str]| {
        let mut all = vec!["tunnel", "127.0.0.1", "--accept-host-key", "-i", "key"];
        all.extend(flags);
        pair.workstation.start(&all)
    };
    let loud = start(&["8080:9080"]);
    loud.says("127.0.0.1:9080 and [::1]:9080 is port 8080 of 127.0.0.1")
        .await;
    let client = machine.connect(at(9080)).expect("a port");
    exchange(client, b"hello").await;
    loud.says("#1 from 127.0.0.1:").await;
    loud.says("#1 ended: 5 B to the device, 9 B from it, 0.")
        .await;
    machine.run("pkill", &["-INT", "-x", "os"]);
    let output = loud.output().await;
    assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{output}");

    let quiet = start(&["8080:9080", "8081:9081", "--quiet"]);
    let client = until("it listens", async || machine.connect(at(9080)).ok()).await;
    exchange(client, b"hello").await;
    let mut client = machine.connect(at(9081)).expect("a port");
    client.read(&mut [0]).await.expect_err("no proper end");
    quiet.says("nothing listens there").await;
    machine.run("pkill", &["-INT", "-x", "os"]);
    let output = quiet.output().await;
    output.success();
    assert_eq!(output.stderr.lines().count(), 1, "{output}");
}

#[tokio::test]
async fn nobody_waits_for_who_does_not_read_what_is_told() {
    let pair = Pair::new("").await;
    let machine = &pair.workstation.machine;
    let mut servers = JoinSet::new();
    server(machine, &mut servers, 8080, "web ");
    let os = testkit::programs::built("os").display().to_string();
    // More of it fits into no pipe.
    let line = format!(
        "{os} tunnel {HERE} --json --accept-host-key -i key 8080:9080 & echo $! >pid; wait $!; echo $? >code"
    );
    let line = format!("({line}) | (exec sleep 1000)");
    let _running = pair.workstation.start_program(&["sh", "-c", &line]);
    until("it listens", async || machine.connect(at(9080)).ok()).await;
    for _ in 0..300 {
        let client = machine.connect(at(9080)).expect("a port");
        assert_eq!(exchange(client, b"x").await, b"web x");
    }
    let pid = fs_err::read_to_string(pair.at("pid")).expect("a number");
    machine.run("kill", &["-INT", pid.trim()]);
    let code = until("it ends", async || {
        let text = fs_err::read_to_string(pair.at("code")).ok()?;
        text.ends_with('\n').then_some(text)
    })
    .await;
    assert_eq!(code, "0\n");
}
