//! What is run, what it reads and writes, how it ends.

use testkit::{process::Signal, until};

use super::{APART, HERE, Pair};

#[tokio::test]
async fn the_end_of_a_command_is_ours_and_its_outputs_stay_apart() {
    let pair = Pair::new("").await;
    let output = pair.ssh(&["--", "echo out; echo err >&2; exit 42"]).await;
    assert_eq!(output.code, 42, "{output}");
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out\n", "err\n")
    );
    for (command, code) in [
        ("true", 0),
        ("exit 4", 4),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
    ] {
        let output = pair.ssh(&["--", command]).await;
        assert_eq!(output.code, code, "{command}: {output}");
    }
    let arguments = pair
        .ssh(&["--", "printf", "<%s>", "a b", "$HOME", "it's", ""])
        .await;
    assert_eq!(arguments.stdout, "<a b><$HOME><it's><>", "{arguments}");
}

#[tokio::test]
async fn megabytes_pass_unchanged_both_ways() {
    let pair = Pair::new("").await;
    let ssh = format!("\"$OS\" ssh {HERE} --quiet --accept-host-key -i key");
    let output = pair
        .sh(&format!(
            "set -e; head -c 5000000 /dev/urandom >big; {ssh} -- cat <big >back; cmp big back; {ssh} -- 'cat >&2' <big 2>back; cmp big back;
             {ssh} -- 'sleep 0.2; wc -c' <big; printf 'echo from a shell\\n' | {ssh}"
        ))
        .await;
    output.success();
    assert_eq!(output.stdout, "5000000\nfrom a shell\n", "{output}");
}

#[tokio::test]
async fn a_shell_has_a_terminal_of_our_size_and_ours_is_put_back() {
    let pair = Pair::new("").await;
    let script = format!(
        "stty -g >before; \"$OS\" ssh {HERE} --accept-host-key -i key; echo \"ended with $?\"; stty -g >after"
    );
    let mut running = pair
        .workstation
        .start_program_in_terminal(&["bash", "-c", &script]);
    running.shows("is known by").await;
    running.press("PS1=; stty size; echo $TERM\r");
    running.shows("24 80").await;
    running.shows("xterm-256color").await;
    running.resize(132, 50);
    until("the size has arrived", async || {
        running.press("stty size\r");
        running.stdout().contains("50 132").then_some(())
    })
    .await;
    // Neither ends the program here, as long as it is the other side that has the keys.
    running.press("(trap 'echo wo\"\"ken; exit' INT; echo slee\"\"ping; sleep 100)\r");
    running.shows("sleeping").await;
    running.press("\x03");
    running.shows("woken").await;
    running.press("echo still''here; exit 7\r");
    running.shows("stillhere").await;
    running.shows("ended with 7").await;
    running.output().await.success();
    let modes = |name: &str| fs_err::read_to_string(pair.at(name)).expect("modes");
    assert_eq!(modes("before"), modes("after"));
}

#[tokio::test]
async fn the_terminal_is_put_back_after_a_signal_and_a_hang_up() {
    let pair = Pair::new("").await;
    pair.ssh(&["--", "true"]).await.success();
    let ssh = format!("\"$OS\" ssh {HERE} -i key");
    let script = format!(
        "stty -g >before; {ssh}; echo \"ended with $?\"; stty -g >hung-up; {ssh}; echo \"then with $?\"; stty -g >after"
    );
    let mut running = pair
        .workstation
        .start_program_in_terminal(&["bash", "-c", &script]);
    running.press("echo rea''dy\r");
    running.shows("ready").await;
    running.press("\r~.");
    running.shows("ended with 130").await;
    running.press("echo re''vived\r");
    running.shows("revived").await;
    pair.workstation
        .machine
        .run("pkill", &["-TERM", "-x", "os"]);
    running.shows("then with 130").await;
    running.output().await.success();
    let modes = |name: &str| fs_err::read_to_string(pair.at(name)).expect("modes");
    assert_eq!(modes("before"), modes("hung-up"));
    assert_eq!(modes("before"), modes("after"));
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_told() {
    let pair = Pair::new("").await;
    let running = pair.workstation.start(&[
        "ssh",
        HERE,
        "--accept-host-key",
        "-i",
        "key",
        "--",
        "echo begun; sleep 100",
    ]);
    running.shows("begun").await;
    // The server's own process for this connection dies with its parent's session: all of them are meant.
    pair.workstation.machine.run("pkill", &["-KILL", "sshd"]);
    let output = running.output().await;
    assert_eq!(output.code, APART, "{output}");
    assert!(
        output.stderr.contains("was lost during a command"),
        "{output}"
    );
}

#[tokio::test]
async fn a_server_that_falls_silent_is_noticed() {
    let pair = Pair::new("").await;
    let running = pair.workstation.start(&[
        "ssh",
        HERE,
        "--accept-host-key",
        "-i",
        "key",
        "--",
        "echo begun; sleep 100",
    ]);
    running.shows("begun").await;
    // As after a loss of power: nothing is answered, and nothing is refused.
    let drop_all = ["-A", "INPUT", "-i", "lo", "-p", "tcp", "-j", "DROP"];
    pair.workstation.machine.run("iptables", &drop_all);
    let output = running.output().await;
    assert_eq!(output.code, APART, "{output}");
    assert!(
        output.stderr.contains("was lost during a command"),
        "{output}"
    );
    pair.server.process.signal(Signal::KILL);
}

#[tokio::test]
async fn an_interruption_ends_us_and_the_input_of_the_command() {
    let pair = Pair::new("").await;
    let file = pair.path("ended");
    let command = format!("echo begun; cat; touch {file}");
    let mut running = pair.workstation.start_in_terminal(&[
        "ssh",
        HERE,
        "--accept-host-key",
        "-i",
        "key",
        "--",
        &command,
    ]);
    running.shows("begun").await;
    running.press("\x03");
    assert_eq!(running.output().await.code, 130);
    until("the command has gone on", async || {
        pair.at("ended").exists().then_some(())
    })
    .await;
}
