//! Streams and forwards over a connection of this process, and over one that another process keeps.

use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use os_cli::transport::ssh::{
    Asks, ForwardSource, HostKeyDecision, Keeping, Place, Ssh, SshError, SshTarget,
    host_keys::HostName,
};
use testkit::{Namespace, programs::built, until};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::Pair;

fn target(key: &Path) -> SshTarget {
    let here = SocketAddr::from(([127, 0, 0, 1], 22222));
    let host = HostName::device("5eee").expect("a name");
    let mut target = SshTarget::new("kitchen", host, Place::Addresses(vec![here]));
    target.identity_files = vec![key.to_owned()];
    target
}

fn asks(is_known: bool) -> Asks {
    Asks {
        host_key: Arc::new(|_, _| Box::pin(async { HostKeyDecision::Accept })),
        is_known: Arc::new(move |_, _| is_known),
        passphrase: Arc::new(|_, _| Box::pin(async { None })),
    }
}

/// Runs it in the machine's network.
fn there<F: Future<Output = ()>>(machine: &Namespace, work: impl FnOnce() -> F + Send) {
    machine.inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(work());
    });
}

/// A connection, or two of the same.
async fn connected(pair: &Pair, is_kept: bool) -> Ssh {
    let ssh = if is_kept {
        kept(pair, true).await
    } else {
        let target = target(&pair.at("key"));
        let ssh = Ssh::connect(&target, &asks(true)).await;
        ssh.expect("a connection")
    };
    assert_eq!(ssh.is_kept(), is_kept);
    ssh
}

/// One that is kept, whose key is known by now or not.
async fn kept(pair: &Pair, is_known: bool) -> Ssh {
    let target = target(&pair.at("key"));
    let keeping = Keeping {
        program: built("os"),
        folder: pair.at("sockets"),
    };
    let ssh = Ssh::kept(&target, &asks(is_known), &keeping).await;
    ssh.expect("a connection")
}

async fn streams(pair: &Pair, ssh: &Ssh) {
    let listener = pair
        .workstation
        .machine
        .listen(([127, 0, 0, 1], 7000).into());
    let listener = listener.expect("a listener");
    let mut stream = ssh.tcp("127.0.0.1", 7000).await.expect("a stream");
    let (mut served, _) = listener.accept().await.expect("the other side");
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let sending = async {
        stream.write_all(&big).await.expect("written");
        stream.shutdown().await.expect("an end");
        // Its end is not ours.
        let mut back = String::new();
        stream.read_to_string(&mut back).await.expect("an answer");
        back
    };
    let serving = async {
        let mut all = Vec::new();
        served.read_to_end(&mut all).await.expect("read");
        served.write_all(b"after the end").await.expect("written");
        served.shutdown().await.expect("an end");
        all
    };
    let (back, all) = tokio::join!(sending, serving);
    assert!(all == big, "{} bytes", all.len());
    assert_eq!(back, "after the end");
    let refused = ssh.tcp("127.0.0.1", 7001).await.expect_err("nothing there");
    assert!(matches!(refused, SshError::Refused { .. }), "{refused:?}");
}

async fn unix_socket(pair: &Pair, ssh: &Ssh) {
    let path = pair.path("socket");
    let listener = tokio::net::UnixListener::bind(&path).expect("a socket");
    let mut stream = ssh.unix(&path).await.expect("a stream");
    let (mut served, _) = listener.accept().await.expect("the other side");
    served.write_all(b"hello").await.expect("written");
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.expect("read");
    assert_eq!(&hello, b"hello");
    drop(stream);
    assert_eq!(served.read(&mut hello).await.expect("an end"), 0);
    fs_err::remove_file(&path).expect("the socket");
}

async fn forwards(pair: &Pair, ssh: &Ssh) -> SocketAddr {
    let port = ssh.listen_tcp("127.0.0.1", 0).await.expect("a port");
    let place = SocketAddr::from(([127, 0, 0, 1], port));
    let path = pair.path("reverse");
    ssh.listen_unix(&path).await.expect("a socket");
    let taken = ssh.listen_unix("/nosuch/socket").await;
    assert!(matches!(taken, Err(SshError::Refused { .. })), "{taken:?}");
    let mut visitor = pair.workstation.machine.connect(place).expect("a visitor");
    let mut forwarded = ssh.accept().await.expect("the visitor");
    assert_eq!(forwarded.source, ForwardSource::Tcp(port.into()));
    visitor.write_all(b"knock").await.expect("written");
    let mut knock = [0; 5];
    forwarded.stream.read_exact(&mut knock).await.expect("read");
    forwarded.stream.write_all(b"enter").await.expect("written");
    forwarded.stream.shutdown().await.expect("an end");
    let mut answer = String::new();
    visitor.read_to_string(&mut answer).await.expect("read");
    assert_eq!((&knock, answer.as_str()), (b"knock", "enter"));
    let _visitor = tokio::net::UnixStream::connect(&path).await.expect("there");
    let forwarded = ssh.accept().await.expect("the visitor");
    assert_eq!(forwarded.source, ForwardSource::Unix(path.clone()));
    fs_err::remove_file(&path).expect("the socket");
    place
}

#[tokio::test]
async fn streams_and_forwards_work_over_either_kind_of_connection() {
    for is_kept in [false, true] {
        let pair = Pair::new("").await;
        there(&pair.workstation.machine, async || {
            let ssh = connected(&pair, is_kept).await;
            streams(&pair, &ssh).await;
            unix_socket(&pair, &ssh).await;
            forwards(&pair, &ssh).await;
            let mut open = ssh.exec("cat", None).await.expect("a program");
            pair.server.stop(&pair.workstation.machine).await;
            let lost = open.output.next().await.expect_err("it is lost");
            assert!(matches!(lost, SshError::Gone { .. }), "{lost:?}");
            ssh.ended().await;
            assert!(ssh.is_closed());
            assert!(ssh.accept().await.is_none());
            let gone = ssh.tcp("127.0.0.1", 7000).await.expect_err("over");
            assert!(!matches!(gone, SshError::Refused { .. }), "{gone:?}");
        });
    }
}

/// Of two who use the same one, each gets what was asked for by it, and what it leaves open ends with it.
#[tokio::test]
async fn what_one_user_of_a_kept_connection_opens_is_its_alone() {
    let pair = Pair::new("").await;
    there(&pair.workstation.machine, async || {
        let (first, second) = (connected(&pair, true).await, connected(&pair, true).await);
        assert_eq!(pair.server.process.log().matches("Accepted ").count(), 1);
        let place = forwards(&pair, &first).await;
        forwards(&pair, &second).await;
        let other = second.exec("cat", None).await.expect("a program");
        let open = first.exec("cat", None).await.expect("a program");
        drop((first, open));
        until("the port is free again", async || {
            pair.workstation
                .machine
                .connect(place)
                .is_err()
                .then_some(())
        })
        .await;
        other.input.write(b"still here").await.expect("written");
        other.input.end().await.expect("an end");
        let mut output = other.output;
        let piece = output.next().await.expect("a piece").expect("a piece");
        let expected = os_cli::transport::ssh::Piece::Stdout(b"still here"[..].into());
        assert_eq!(piece, expected);
        assert_eq!(output.next().await.expect("an end"), None);
        assert_eq!(output.exit().code(), 0);
        // Ended by whoever uses it, it ends for that one only.
        second.close().await;
        second.ended().await;
        assert!(second.is_closed());
        let third = connected(&pair, true).await;
        streams(&pair, &third).await;
    });
}

/// It is not used by who does not know the key, and goes on for those who did.
#[tokio::test]
async fn a_kept_connection_is_judged_by_everybody_who_comes() {
    let pair = Pair::new("").await;
    let entries = || pair.server.process.log().matches("Accepted ").count();
    there(&pair.workstation.machine, async || {
        let first = kept(&pair, true).await;
        let _second = kept(&pair, true).await;
        assert_eq!(entries(), 1);
        let _third = kept(&pair, false).await;
        assert_eq!(entries(), 2);
        streams(&pair, &first).await;
        forwards(&pair, &first).await;
        assert!(!first.is_closed());
        let _fourth = kept(&pair, true).await;
        assert_eq!(entries(), 2);
    });
}

/// What is given up is given up on all sides, though nobody reads it on the other.
#[tokio::test]
async fn a_stream_that_is_dropped_is_closed_though_it_is_not_read_there() {
    let pair = Pair::new("").await;
    there(&pair.workstation.machine, async || {
        let ssh = kept(&pair, true).await;
        let folder = pair.path("sockets");
        let is_its = |process: &Path| {
            let words = fs_err::read_to_string(process.join("cmdline"));
            words.is_ok_and(|words| words.contains("ssh-keeper") && words.contains(&folder))
        };
        let mut processes = fs_err::read_dir("/proc").expect("processes").flatten();
        let keeper = processes.find(|process| is_its(&process.path()));
        let held = keeper.expect("a keeper").path().join("fd");
        let held = || fs_err::read_dir(&held).expect("a keeper").count();
        let before = held();
        let place = ([127, 0, 0, 1], 7000).into();
        let listener = pair.workstation.machine.listen(place);
        let listener = listener.expect("a listener");
        let mut stream = ssh.tcp("127.0.0.1", 7000).await.expect("a stream");
        let (_unread, _) = listener.accept().await.expect("the other side");
        let piece = vec![0; 1 << 20];
        let moment = Duration::from_secs(1);
        while let Ok(written) = timeout(moment, stream.write_all(&piece)).await {
            written.expect("written");
        }
        assert!(held() > before);
        drop(stream);
        until("the keeper has let go of it", async || {
            (held() == before).then_some(())
        })
        .await;
    });
}
