//! `os ssh`, `os cp` and `os tunnel` against dropbear, which small systems have in place of OpenSSH's server.

use testkit::{Process, Workstation, until, workstation::Output};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    HERE,
    copies::{CP, HOSTILE},
};

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

/// A shell that has no tools but those of busybox, as devices with dropbear mostly are.
const BUSYBOX: &str =
    "#!/bin/busybox sh\nPATH=HERE/applets; export PATH; exec /bin/busybox sh \"$@\"\n";

/// The same, but with the tools of busybox, and a part of a copy that is on its way.
async fn small() -> (Workstation, Process) {
    let (mut workstation, server) = pair().await;
    let home = workstation.home().display().to_string();
    workstation.write("shell", BUSYBOX.replace("HERE", &home));
    let script = format!(
        "chmod 755 {home}/shell; mkdir {home}/applets; busybox --install -s {home}/applets; echo {home}/shell >>/etc/shells
         sed -i 's#^root:.*#root:x:0:0:root:{home}:{home}/shell#' /etc/passwd"
    );
    workstation.machine.run("sh", &["-c", &script]);
    let os = testkit::programs::built("os").display().to_string();
    workstation.set("OS", &os);
    (workstation, server)
}

#[tokio::test]
async fn folders_with_hostile_names_are_copied_both_ways_with_the_tools_of_busybox() {
    let (workstation, _server) = small().await;
    let script = format!(
        "{HOSTILE} set +e; for n in $(seq 400); do echo $n >src/number-$n; done; mkdir src/shut; chmod 500 src/shut; touch -d @1000000000 src/-rf
         mkdir there back; {CP} src {HERE}:there; echo $?; {CP} {HERE}:there/src back; echo $?
         for copy in there back; do rsync -rlptJn --itemize-changes --checksum --delete src/ $copy/src/ 2>&1 | grep -v pipe; done
         {CP} --json src {HERE}:there | grep -o '\"same\":[0-9]*'
         echo streamed | {CP} - {HERE}:s; {CP} {HERE}:s -; timeout 100 {CP} {HERE}:/proc/kmsg back; echo $?; find . -name evil"
    );
    let program = ["bash", "-c", &script];
    let output = workstation.start_program(&program).output().await;
    // Its tar knows no times of links.
    let expected = "1\n0\n\"same\":562\nstreamed\n1\n";
    assert_eq!(output.stdout, expected, "{output}");
    assert!(output.stderr.contains("did not end within 5 s"), "{output}");
}

#[tokio::test]
async fn a_copy_that_is_cut_is_gone_on_with() {
    let (workstation, _server) = small().await;
    let machine = &workstation.machine;
    let home = workstation.home();
    fs_err::create_dir(home.join("there")).expect("a folder");
    let make = format!("head -c 60000000 /dev/urandom >{}/big", home.display());
    machine.run("sh", &["-c", &make]);
    let there = format!("{HERE}:there/big");
    for (from, to, folder) in [("big", &*there, "there"), (&*there, "back", "")] {
        let words = ["cp", "--accept-host-key", "-i", "key", from, to];
        let running = workstation.start(&words);
        until("a part is there", async || {
            let names = fs_err::read_dir(home.join(folder)).ok()?;
            let is_part = |path: &std::path::Path| path.to_string_lossy().ends_with(".os-part");
            let mut lengths = names
                .flatten()
                .filter(|name| is_part(&name.path()))
                .filter_map(|name| name.metadata().ok());
            lengths.any(|about| about.len() > 5_000_000).then_some(())
        })
        .await;
        machine.run("sh", &["-c", "pkill -KILL -P $(pgrep -o dropbear)"]);
        let output = running.output().await;
        output.success();
        assert!(output.stderr.contains("goes on after"), "{output}");
    }
    machine.run(
        "cmp",
        &["big", "back"]
            .map(|name| home.join(name).display().to_string())
            .each_ref()
            .map(String::as_str),
    );
}
