//! `os ssh` and `os tunnel` against dropbear, which small systems have in place of OpenSSH's server.

use testkit::{Process, Workstation, until, workstation::Output};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::HERE;

const PORT: u16 = 22222;

fn at(port: u16) -> std::net::SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A workstation with dropbear beside it, which lets the key `~/key` in.
async fn pair() -> (Workstation, Process) {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let path = |name: &str| workstation.home().join(name).display().to_string();
    machine.run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", &path("key")],
    );
    machine.run("dropbearkey", &["-t", "ed25519", "-f", &path("host")]);
    // It lets in whom the account's own home names.
    let folder = workstation.home().join(".ssh");
    fs_err::create_dir(&folder).expect("a folder");
    fs_err::copy(path("key.pub"), folder.join("authorized_keys")).expect("a copy");
    machine.run("chmod", &["-R", "go-w", &path(".ssh"), &path("")]);
    let account = format!("s#^root:.*#root:x:0:0:root:{}:/bin/sh#", path(""));
    machine.run("sed", &["-i", &account, "/etc/passwd"]);
    let mut command = machine.command("/usr/sbin/dropbear");
    let port = PORT.to_string();
    command.args([
        "-F",
        "-E",
        "-s",
        "-p",
        &port,
        "-r",
        &path("host"),
        "-P",
        &path("pid"),
    ]);
    let process = Process::start("dropbear", command, &workstation.home().join("log")).await;
    until("dropbear listens", async || machine.connect(at(PORT)).ok()).await;
    (workstation, process)
}

async fn ssh(workstation: &Workstation, command: &str) -> Output {
    let words = [
        "ssh",
        HERE,
        "--quiet",
        "--accept-host-key",
        "-i",
        "key",
        "--",
        command,
    ];
    workstation.os(&words).await
}

async fn question_and_answer(client: &mut TcpStream, server: &TcpListener) {
    let (mut device, _) = server.accept().await.expect("a connection");
    client.write_all(b"question").await.expect("written");
    client.shutdown().await.expect("ended");
    let mut heard = String::new();
    device.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "question");
    device.write_all(b"answer").await.expect("written");
    drop(device);
    heard.clear();
    client.read_to_string(&mut heard).await.expect("its end");
    assert_eq!(heard, "answer");
}

#[tokio::test]
async fn programs_run_with_their_streams_and_exit_codes() {
    let (workstation, _server) = pair().await;
    let output = ssh(&workstation, "echo out; echo err >&2; exit 42").await;
    assert_eq!(output.code, 42, "{output}");
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out\n", "err\n")
    );
    let output = ssh(&workstation, "kill -TERM $$").await;
    assert_eq!(output.code, 143, "{output}");
    let os = testkit::programs::built("os").display().to_string();
    let script = format!(
        "set -e; head -c 3000000 /dev/urandom >big; {os} ssh {HERE} -q -i key -- cat <big >back; cmp big back"
    );
    let program = ["bash", "-c", &script];
    workstation.start_program(&program).output().await.success();
}

#[tokio::test]
async fn tunnels_pass_both_ways_and_what_it_cannot_do_is_said() {
    let (workstation, _server) = pair().await;
    let machine = &workstation.machine;
    let server = machine.listen(at(8080)).expect("a port");
    let tunnel = |words: &[&str]| {
        let mut all = vec!["tunnel", HERE, "--json", "--accept-host-key", "-i", "key"];
        all.extend(words);
        workstation.start(&all)
    };
    let forward = tunnel(&["8080:9080", "/run/none.sock:9081"]);
    forward.shows("9081").await;
    let mut client = machine.connect(at(9080)).expect("a port");
    question_and_answer(&mut client, &server).await;
    let mut client = machine.connect(at(9081)).expect("a port");
    client.read(&mut [0]).await.expect_err("no proper end");
    forward.shows("/run/none.sock: it cannot do that").await;

    let reverse = tunnel(&["--reverse", "9082:8080"]);
    reverse.shows("listening").await;
    let mut client = machine.connect(at(9082)).expect("a port");
    question_and_answer(&mut client, &server).await;
}
