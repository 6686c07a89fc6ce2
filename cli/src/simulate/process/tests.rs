use std::process::{Child, Command as StdCommand};

use super::*;
use crate::env::SECRETS;

/// A process that looks like an agent with this state folder, and ends when its input does or at SIGTERM.
fn pretend(state: &Path, script: &str) -> Child {
    let mut child = StdCommand::new("sh")
        .args(["-c", script, "os-agent", "run", STATE_FLAG])
        .arg(state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It is there, and has set up what it wants to, when it says so.
    let mut said = [0; 1];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    child
}

#[tokio::test]
async fn an_agent_is_found_by_its_state_folder_and_ended() {
    let home = tempfile::tempdir().unwrap();
    let ours = home.path().join("ours");
    let mut agent = pretend(&ours, "echo; read x");
    let mut other = pretend(&home.path().join("ours2"), "echo; read x");

    let found = find(&ours);
    assert_eq!(
        found.iter().map(|found| found.pid).collect::<Vec<_>>(),
        [agent.id()]
    );
    for found in found {
        found.stop().await.unwrap();
    }
    assert!(!agent.wait().unwrap().success());
    assert!(find(&ours).is_empty());
    assert!(other.try_wait().unwrap().is_none(), "a stranger was hit");
    drop(other.stdin.take());
    other.wait().unwrap();
}

#[tokio::test]
async fn a_process_that_ended_meanwhile_is_no_failure() {
    let home = tempfile::tempdir().unwrap();
    let mut agent = pretend(home.path(), "echo; read x");
    let found = find(home.path()).pop().unwrap();
    drop(agent.stdin.take());
    agent.wait().unwrap();
    found.stop().await.unwrap();
}

#[test]
fn an_agent_does_not_inherit_what_is_secret() {
    let identity = Identity {
        name: "demo".to_owned(),
        uuid: "5eee".repeat(8),
        namespace: "5eee5ee".to_owned(),
        address: std::net::Ipv4Addr::LOCALHOST,
        device_type: "generic-amd64".to_owned(),
        arch: "amd64".to_owned(),
        engine_socket: "/run/docker.sock".into(),
        allow_privileged: false,
    };
    let folder = identity.folder(Path::new("/nowhere"));
    let command = command(Path::new("os-agent"), &identity, &folder);
    for secret in SECRETS {
        let mut changed = command.as_std().get_envs();
        assert!(
            changed.any(|(name, value)| name == secret && value.is_none()),
            "{secret}"
        );
    }
}

#[test]
fn the_program_is_looked_for_where_it_is_installed() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    let libexec = home.path().join("libexec/os");
    let path = home.path().join("path");
    for folder in [&bin, &libexec, &path] {
        fs_err::create_dir_all(folder).unwrap();
    }
    let os = bin.join("os");
    let search = format!("/nowhere::{}", path.display());
    let look = || program(None, Some(&os), Some(&search));

    let Err(AgentError::Missing { tried }) = look() else {
        panic!("there is none yet");
    };
    assert_eq!(
        tried,
        [
            bin.join("os-agent"),
            libexec.join("os-agent"),
            PathBuf::from("/nowhere/os-agent"),
            path.join("os-agent"),
        ]
    );
    for place in [&path, &libexec, &bin] {
        let agent = place.join("os-agent");
        fs_err::write(&agent, "").unwrap();
        assert_eq!(look().unwrap(), agent);
    }
    // A named one is the only one.
    assert!(program(Some(Path::new("/nowhere/x")), Some(&os), Some(&search)).is_err());
}

#[test]
fn the_end_of_a_log_begins_with_a_whole_line() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    assert_eq!(tail(&log), "");
    fs_err::write(&log, "one\ntwo\n").unwrap();
    assert_eq!(tail(&log), "one\ntwo\n");
    fs_err::write(&log, "a line\n".repeat(1000)).unwrap();
    let end = tail(&log);
    assert!(end.starts_with("a line\n") && end.len() < 2048, "{end}");
}
