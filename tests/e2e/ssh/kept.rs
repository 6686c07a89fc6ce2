//! The connection that is kept for the commands of the next minute.

use std::time::{Duration, Instant};

use testkit::{Sshd, process::Signal, tier, until};

use super::{APART, HERE, Pair};

/// Commands one after the other in the usual run; `tests/soak/run` has a thousand.
const CYCLES: usize = 25;
/// KiB of memory that a keeper may have had: its program, and what may wait of a channel.
const MEMORY: usize = 64 << 10;

impl Pair {
    /// How often the server has let somebody in.
    fn entries(&self) -> usize {
        self.server.process.log().matches("Accepted ").count()
    }

    /// Processes that keep connections, as seen on the machine.
    async fn keepers(&self) -> Vec<String> {
        let found = self.sh("pgrep -x os-ssh-keeper").await;
        found.stdout.lines().map(str::to_owned).collect()
    }

    async fn runs(&self, key: &str, text: &str) {
        let output = self.with_key(key, &["--", "echo", text]).await;
        assert_eq!(output.stdout.trim_end(), text, "{output}");
    }
}

/// KiB in a line of a process's status.
fn peak(line: &str) -> usize {
    let number = line.split_whitespace().nth(1);
    number.and_then(|kib| kib.parse().ok()).expect("KiB")
}

#[tokio::test]
async fn commands_that_follow_use_one_connection_unless_that_is_not_wanted() {
    let mut pair = Pair::new("").await;
    for _ in 0..3 {
        pair.runs("key", "entered").await;
    }
    assert_eq!(pair.entries(), 1, "{}", pair.server.process.log());
    // Who ends it ends all of it, and nobody waits for what it holds open.
    let piped = format!("\"$OS\" ssh {HERE} -q -i key -- echo piped 2>&1 | cat");
    let output = pair.sh(&piped).await;
    assert_eq!(output.stdout, "piped\n", "{output}");
    // Another key is another connection, and so is another account or port.
    pair.make_key("other", &["-t", "ed25519"]);
    for (key, elsewhere) in [
        ("other", &[][..]),
        ("key", &["--user", "nobody"]),
        ("key", &["--port", "1"]),
    ] {
        let entering = [elsewhere, &["--", "echo entered"]].concat();
        let output = pair.with_key(key, &entering).await;
        assert_ne!(output.code, 0, "{elsewhere:?}: {output}");
        assert!(!output.stdout.contains("entered"), "{elsewhere:?}");
    }
    // That account is let in, but runs nothing.
    assert_eq!(pair.entries(), 2, "{}", pair.server.process.log());
    pair.workstation.set("OSCLI_SSH_KEEP", "0");
    for _ in 0..2 {
        pair.runs("key", "entered").await;
    }
    assert_eq!(pair.entries(), 4, "{}", pair.server.process.log());
    assert_eq!(pair.keepers().await.len(), 2);
}

#[tokio::test]
async fn nobody_else_comes_near_and_nothing_of_ours_is_held() {
    let pair = Pair::new("").await;
    let script = format!(
        "exec 7>held; SECRET=sesame \"$OS\" ssh {HERE} --accept-host-key -q -i key -- true; pid=$(pgrep -x os-ssh-keeper)
         stat -c %a \"$XDG_RUNTIME_DIR/os/ssh\"; find \"$XDG_RUNTIME_DIR/os/ssh\" -type s -printf '%m\\n'
         tr '\\0' '\\n' </proc/$pid/environ; readlink /proc/$pid/cwd /proc/$pid/fd/0 /proc/$pid/fd/1 /proc/$pid/fd/2
         ps -o tty= -p $pid; readlink /proc/$pid/fd/* | grep -c held"
    );
    let output = pair.sh(&script).await;
    assert_eq!(
        output.stdout, "700\n600\n600\n/\n/dev/null\n/dev/null\n/dev/null\n?\n0\n",
        "{output}"
    );
}

/// Even where it could reach the sockets, another account is told nothing.
#[tokio::test]
async fn another_account_is_not_spoken_to() {
    let pair = Pair::new("").await;
    pair.runs("key", "entered").await;
    let script = r#"cd "$XDG_RUNTIME_DIR/os/ssh"; chmod 711 .; chmod 666 *-*
        version=$(ls | sed -n 's/-.*//p' | head -1)
        for account in 0 65534; do
            for socket in *-*; do
                perl -MIO::Socket::UNIX -e '
                    ($account, $socket, $version) = @ARGV; $> = $account;
                    $stream = IO::Socket::UNIX->new($socket) or die "no connection: $!";
                    $SIG{PIPE} = "IGNORE";
                    $hello = "{\"version\":$version,\"hello\":\"Attach\"}";
                    $stream->print(pack("CN/a*", 0, $hello)); $stream->flush;
                    sysread($stream, $answer, 1000) > 0 or $answer = "nothing";
                    print "$account: ", ($answer =~ /Attached/ ? "attached" : $answer), "\n";
                ' $account $socket $version
            done
        done"#;
    let output = pair.sh(script).await;
    assert_eq!(
        output.stdout, "0: attached\n0: attached\n65534: nothing\n65534: nothing\n",
        "{output}"
    );
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once() {
    let pair = Pair::new("").await;
    pair.make_key("locked", &["-t", "ed25519", "-N", "open sesame"]);
    pair.server.authorize(&pair.at("locked.pub"));
    let ssh = ["ssh", HERE, "-i", "locked", "--accept-host-key", "--"];
    let mut first = pair
        .workstation
        .start_in_terminal(&[&ssh[..], &["echo first"]].concat());
    first.shows("Passphrase of").await;
    first.hides().await;
    first.press("open sesame\r");
    first.shows("first").await;
    first.output().await.success();
    let again = [&ssh[..], &["echo next"]].concat();
    let next = pair.workstation.os(&again).await;
    assert_eq!(next.stdout, "next\n", "{next}");
    let seen = pair
        .sh("pid=$(pgrep -x os-ssh-keeper); cat /proc/$pid/cmdline /proc/$pid/environ | tr '\\0' ' '")
        .await;
    assert!(seen.stdout.contains("ssh-keeper"), "{seen}");
    assert!(!seen.stdout.contains("sesame"), "{seen}");
}

#[tokio::test]
async fn a_device_whose_key_was_forgotten_is_not_entered_over_what_is_kept() {
    let pair = Pair::new("").await;
    pair.runs("key", "entered").await;
    let known = pair.at(".local/state/os/ssh/known_hosts");
    let line = fs_err::read_to_string(&known).expect("known hosts");
    fs_err::write(&known, "").expect("known hosts");
    let ssh = ["ssh", HERE, "-i", "key", "--", "echo entered"];
    let refused = pair.workstation.os(&ssh).await;
    assert_eq!(refused.code, APART, "{refused}");
    assert!(refused.stderr.contains("--accept-host-key"), "{refused}");
    fs_err::write(&known, format!("@revoked {line}")).expect("known hosts");
    let revoked = pair.with_key("key", &["--", "echo entered"]).await;
    assert_eq!(revoked.code, APART, "{revoked}");
    assert!(revoked.stderr.contains("it was revoked"), "{revoked}");
    fs_err::write(&known, line).expect("known hosts");
    pair.runs("key", "entered").await;
    assert_eq!(pair.entries(), 2, "{}", pair.server.process.log());
}

#[tokio::test]
async fn a_connection_that_is_lost_is_made_anew_by_the_next_command() {
    let pair = Pair::new("").await;
    pair.runs("key", "entered").await;
    let kill = "pkill -KILL sshd-session || pkill -KILL -f 'sshd: root'";
    pair.sh(kill).await.success();
    pair.runs("key", "again").await;
    assert_eq!(pair.entries(), 2);
    // Its keeper has gone at once, so that one is left.
    until("one keeper is left", async || {
        (pair.keepers().await.len() == 1).then_some(())
    })
    .await;
    // What a keeper leaves behind that was killed is no hindrance.
    pair.sh("pkill -KILL -x os-ssh-keeper").await.success();
    pair.runs("key", "anew").await;
    assert_eq!(pair.entries(), 3);
}

#[tokio::test]
async fn a_connection_that_has_fallen_silent_is_found_out_by_the_next_command() {
    let pair = Pair::new("").await;
    pair.runs("key", "entered").await;
    let log = pair.server.process.log();
    let port = log
        .lines()
        .filter(|line| line.contains("Accepted "))
        .find_map(|line| line.split(" port ").nth(1)?.split(' ').next())
        .expect("the port of the connection");
    for side in ["--sport", "--dport"] {
        let drop_all = ["-A", "INPUT", "-p", "tcp", side, port, "-j", "DROP"];
        pair.workstation.machine.run("iptables", &drop_all);
    }
    let start = Instant::now();
    pair.runs("key", "again").await;
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(pair.entries(), 2);
}

#[tokio::test]
async fn a_command_that_is_killed_leaves_no_program_behind() {
    let pair = Pair::new("").await;
    let command = format!("echo begun; cat; touch {}", pair.path("ended"));
    let script = format!(
        "mkfifo input; exec 5<>input; \"$OS\" ssh {HERE} -q --accept-host-key -i key -- '{command}' <&5 & sleep 0.1; wait"
    );
    let running = pair.workstation.start_program(&["bash", "-c", &script]);
    running.shows("begun").await;
    pair.sh("pkill -KILL -x os").await.success();
    until("the program has heard of it", async || {
        pair.at("ended").exists().then_some(())
    })
    .await;
    running.output().await.success();
    assert_eq!(pair.keepers().await.len(), 1);
}

#[tokio::test]
async fn a_hundred_commands_at_once_lose_nothing_whatever_a_server_allows() {
    let pair = Pair::new("MaxSessions 10").await;
    // All of them run before the first one ends.
    let home = pair.workstation.home().display().to_string();
    let script = format!(
        "for n in $(seq 100); do \"$OS\" ssh {HERE} -q --accept-host-key -i key -- \"read line; touch {home}/begun.$n; until [ -e {home}/go ]; do sleep 0.1; done; echo $n \\$line; exit $n\" <<<\"line $n\" >out.$n 2>err.$n || echo $? >code.$n & done
         until [ $(ls begun.* code.* 2>/dev/null | wc -l) -ge 100 ]; do sleep 0.1; done; touch go; wait
         for n in $(seq 100); do echo \"$(cat out.$n) $(cat code.$n)\"; done; cat err.* >&2"
    );
    let output = pair.sh(&script).await;
    let expected: Vec<String> = (1..=100).map(|n| format!("{n} line {n} {n}")).collect();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines, expected, "{output}");
    let entries = pair.entries();
    assert_eq!(entries, 10, "each with its ten programs");
}

/// 200 MB of which nothing is read, beside commands that do something.
#[tokio::test]
async fn a_stream_that_nobody_reads_holds_up_no_other_and_arrives_whole() {
    let pair = Pair::new("").await;
    let ssh = format!("\"$OS\" ssh {HERE} -q --accept-host-key -i key --");
    let big = pair.path("big");
    let script = format!(
        "set -e; head -c 200000000 /dev/urandom >big; mkfifo out; {ssh} true
         {ssh} cat {big} >out & exec 5<out
         mkfifo in; {ssh} cat <in >beside & exec 6>in
         pid=$(pgrep -x os-ssh-keeper)
         until [ $(stat -L -c '%s' /proc/$pid/fd/* 2>/dev/null | sort -n | tail -1) -gt 190000000 ]; do {ssh} true; done
         echo on disk; {ssh} echo works; echo beside >&6; exec 6>&-
         grep VmHWM /proc/$pid/status; cmp big <&5; echo same; wait; cat beside
         stat -L -c '%s' /proc/$pid/fd/* 2>/dev/null | sort -n | tail -1"
    );
    let output = pair.sh(&script).await;
    output.success();
    let lines: Vec<&str> = output.stdout.lines().collect();
    let [on_disk, works, memory, same, beside, rest] = lines.as_slice() else {
        panic!("{output}");
    };
    assert_eq!(
        [*on_disk, works, same, beside],
        ["on disk", "works", "same", "beside"]
    );
    assert!(peak(memory) < MEMORY, "{output}");
    assert!(
        rest.parse::<usize>().expect("bytes") < 1_000_000,
        "{output}"
    );
}

/// Alone, it waits as it would at a socket.
#[tokio::test]
async fn a_stream_that_nobody_reads_waits_where_it_is_alone() {
    let pair = Pair::new("").await;
    let ssh = format!("\"$OS\" ssh {HERE} -q --accept-host-key -i key --");
    let script = format!(
        "set -e; mkfifo out; {ssh} 'head -c 100000000 /dev/zero; touch {}' >out & exec 5<out; head -c 1000 <&5 >begun
         pid=$(pgrep -x os-ssh-keeper); sleep 1; ls -l /proc/$pid/fd | grep -c deleted || true
         [ ! -e written ]; grep VmHWM /proc/$pid/status; cat <&5 >rest; wc -c <rest",
        pair.path("written")
    );
    let output = pair.sh(&script).await;
    output.success();
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!((lines[0], lines[2]), ("0", "99999000"), "{output}");
    assert!(peak(lines[1]) < MEMORY, "{output}");
}

#[tokio::test]
async fn a_server_that_runs_no_programs_is_asked_over_one_connection() {
    let pair = Pair::new("MaxSessions 0").await;
    let output = pair.ssh(&["--", "true"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert_eq!(pair.entries(), 1, "{}", pair.server.process.log());
}

#[tokio::test]
async fn many_commands_one_after_the_other_leave_nothing_behind() {
    let cycles = tier::number("OS_TEST_SSH_CYCLES", CYCLES);
    for keep in ["1", "0"] {
        let mut pair = Pair::new("MaxStartups 100").await;
        pair.workstation.set("OSCLI_SSH_KEEP", keep);
        let script = format!(
            "counted() {{ ls /proc/$pid/fd 2>/dev/null | wc -l; ls \"$XDG_RUNTIME_DIR/os/ssh\" 2>/dev/null | wc -l; find . -type f | wc -l; pgrep -x os | wc -l; pgrep -x os-ssh-keeper | wc -l; }}
             one() {{ \"$OS\" ssh {HERE} -q --accept-host-key -i key -- \"cat; exit 3\" <<<$1; [ $? -eq 3 ] || echo \"$1 ended badly\"; }}
             one 0; one 0; pid=$(pgrep -x os-ssh-keeper); touch before after; counted >before
             for n in $(seq {cycles}); do one $n; done
             # What has ended is gone a moment later.
             for try in $(seq 50); do counted >after; cmp -s before after && break; sleep 0.1; done; diff before after && echo clean"
        );
        let start = Instant::now();
        let running = pair.workstation.start_program(&["bash", "-c", &script]);
        let output = running.output().await;
        output.success();
        let mut expected = vec!["0".to_owned(), "0".to_owned()];
        expected.extend((1..=cycles).map(|n| n.to_string()));
        expected.push("clean".to_owned());
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines, expected, "{output}");
        println!(
            "{cycles} cycles with OSCLI_SSH_KEEP={keep}: {:?}",
            start.elapsed()
        );
        let entries = if keep == "1" { 1 } else { cycles + 2 };
        assert_eq!(pair.entries(), entries);
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_given_up_after_a_minute() {
    let pair = Pair::new("").await;
    pair.runs("key", "entered").await;
    let start = Instant::now();
    until("the keeper has gone", async || {
        pair.keepers().await.is_empty().then_some(())
    })
    .await;
    let lived = start.elapsed();
    assert!(lived > Duration::from_secs(50), "{lived:?}");
    assert!(lived < Duration::from_secs(90), "{lived:?}");
    let sockets = pair.sh("find \"$XDG_RUNTIME_DIR/os/ssh\" -type s").await;
    assert_eq!(sockets.stdout, "", "{sockets}");
    pair.runs("key", "again").await;
}

#[tokio::test]
async fn another_server_at_the_same_place_is_judged_as_ever() {
    let mut pair = Pair::new("").await;
    pair.runs("key", "entered").await;
    pair.server.stop(&pair.workstation.machine).await;
    pair.server = Sshd::start(&pair.workstation.machine, "").await;
    pair.server.authorize(&pair.at("key.pub"));
    let output = pair.ssh(&["--", "echo secret"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(output.stderr.contains("another one is known"), "{output}");
    pair.server.process.signal(Signal::KILL);
}
