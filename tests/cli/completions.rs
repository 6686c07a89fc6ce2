//! The installed completion scripts in real shells.

use std::{io::Write as _, path::PathBuf, process::Command};

use testkit::programs::built;

/// A home that knows a simulated device, and a shell in it.
struct Shell {
    home: tempfile::TempDir,
}

impl Shell {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".local/state/os/simulated");
        fs_err::create_dir_all(&folder).unwrap();
        let record = serde_json::json!({
            "device": {
                "name": "kitchen", "uuid": "0123456789abcdef0123456789abcdef",
                "addresses": [{ "ip": "127.71.0.1", "scope": 0 }],
                "api_port": 48484, "engine_port": 2375, "ssh_port": 22222,
                "origin": { "kind": "simulated", "agent_socket": "/a", "engine_socket": "/e" },
            },
            "agent_pid": 1, "started_at": "2026-01-01T00:00:00Z",
            "engine_socket": "/e", "address": "127.71.0.1", "namespace": "0123456",
        });
        fs_err::write(folder.join("kitchen.json"), record.to_string()).unwrap();
        let seen = serde_json::json!([{ "names": ["kitchen"], "services": ["web", "worker"] }]);
        let cache = home.path().join(".cache/os");
        fs_err::create_dir_all(&cache).unwrap();
        fs_err::write(cache.join("services.json"), seen.to_string()).unwrap();
        Self { home }
    }

    /// Runs a shell's script to its end, with `os` on the path and `$scripts` naming the folder of the completion scripts.
    fn run(&self, shell: &[&str], script: &str) -> String {
        let os = built("os");
        let folder = os.parent().unwrap().display();
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .env_clear()
            .env("PATH", format!("{folder}:/usr/local/bin:/usr/bin:/bin"))
            .env("HOME", self.home.path())
            .env("TERM", "dumb")
            .env("scripts", scripts())
            .current_dir(self.home.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}, of the Debian package: {error}", shell[0]));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell:?} failed: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn scripts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../completions")
}

#[test]
fn bash_completes_verbs_options_and_devices() {
    let shell = Shell::new();
    let script = r#"
        source "$scripts/os"
        ask() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; COMPREPLY=()
            _clap_complete_os os "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            echo "${COMPREPLY[*]}"
        }
        complete -p os >&2
        ask os simu
        ask os simulate --sto
        ask os push k
        ask os simulate --stop ''
        ask os new web
    "#;
    let answers = shell.run(&["bash", "--norc"], script);
    assert_eq!(
        answers.lines().collect::<Vec<_>>(),
        [
            "simulate",
            "--stop",
            "kitchen",
            "kitchen",
            "web web-and-worker"
        ]
    );
}

#[test]
fn fish_completes_verbs_options_and_devices() {
    let shell = Shell::new();
    let script = r"
        source $scripts/os.fish
        for line in 'os simu' 'os simulate --sto' 'os push k' 'os simulate --stop ' 'os new web'
            complete --do-complete $line | string split --fields 1 \t | string join ' '
        end
    ";
    let answers = shell.run(&["fish", "--no-config"], script);
    assert_eq!(
        answers.lines().collect::<Vec<_>>(),
        [
            "simulate",
            "--stop",
            "kitchen",
            "kitchen",
            "web web-and-worker"
        ]
    );
}

#[test]
fn zsh_completes_verbs_options_and_devices() {
    let shell = Shell::new();
    // An interactive zsh with the script on its function path, as it is installed; each line ends with the Tab key. The first one
    // loads the function, the second one finds it loaded.
    let script = r#"
        zmodload zsh/zpty
        zpty inner zsh -f -i
        zpty -w inner "PS1=; unsetopt zle_bracketed_paste; fpath=($scripts \$fpath); autoload -Uz compinit; compinit -D -u; print REA''DY"
        zpty -r inner out '*READY*'
        for line in 'os simu' 'os push k' 'os simulate --sto' 'os simulate --stop '; do
            zpty -w -n inner "$line"$'\t'
            zpty -w -n inner $'\C-aprint -r -- "<"\C-e">"\n'
            zpty -r inner out $'*\n<*>*'
            print -r -- "${${out##*$'\n'<}%%>*}"
        done
        zpty -d inner
    "#;
    let answers = shell.run(&["zsh", "-f"], script);
    assert_eq!(
        answers.lines().map(str::trim).collect::<Vec<_>>(),
        [
            "os simulate",
            "os push kitchen",
            "os simulate --stop",
            "os simulate --stop kitchen"
        ]
    );
}

/// Lines of `os cp` in a shell where somebody types, each ended with the Tab key and an X, before which there is no blank.
const COPIES: [(&str, &str); 6] = [
    ("os cp ki", "os cp kitchen:"),
    ("os cp kitchen:wo", "os cp kitchen:worker:"),
    ("os cp ab kitchen:wo", "os cp ab kitchen:worker:"),
    ("os cp kitchen:w", "os cp kitchen:w"),
    ("os cp loc", "os cp local/"),
    ("os cp --identity=loc", "os cp --identity=local/"),
];

impl Shell {
    /// What becomes of [`COPIES`] in another shell in a terminal of its own, once `ready` has made it so.
    fn copies(&self, shell: &str, ready: &str) {
        fs_err::create_dir(self.home.path().join("local")).unwrap();
        let lines = COPIES.map(|(typed, _)| format!("'{typed}'")).join(" ");
        let script = format!(
            r#"
            zmodload zsh/zpty
            zpty inner {shell}
            zpty -w inner "{ready}; echo REA''DY"
            zpty -r inner out '*READY*'
            for line in {lines}; do
                zpty -w -n inner "$line"$'\tX'
                zpty -w -n inner $'\C-aprintf "<%s>\\n" "\C-e"\n'
                zpty -r inner out $'*\n<*>*'
                print -r -- "${{${{out##*$'\n'<}}%%>*}}"
            done
            zpty -d inner
        "#
        );
        let answers = self.run(&["zsh", "-f"], &script);
        let answers: Vec<&str> = answers.lines().collect();
        let expected = COPIES.map(|(_, completed)| format!("{completed}X"));
        assert_eq!(answers, expected, "{shell}");
    }
}

#[test]
fn bash_completes_both_sides_of_a_copy() {
    let ready = r"PS1=; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; source \$scripts/os";
    Shell::new().copies("bash --norc --noprofile -i", ready);
}

#[test]
fn zsh_completes_both_sides_of_a_copy() {
    let ready = r"PS1=; unsetopt zle_bracketed_paste list_beep; fpath=(\$scripts \$fpath); autoload -Uz compinit; compinit -D -u";
    Shell::new().copies("zsh -f -i", ready);
}

#[test]
fn fish_completes_both_sides_of_a_copy() {
    let shell = Shell::new();
    fs_err::create_dir(shell.home.path().join("local")).unwrap();
    let script = r"
        source $scripts/os.fish
        for line in 'os cp ki' 'os cp loc' 'os cp kitchen:wo' 'os cp kitchen:'
            complete --do-complete $line | string split --fields 1 \t | string join ' '
        end
    ";
    let answers = shell.run(&["fish", "--no-config"], script);
    assert_eq!(
        answers.lines().collect::<Vec<_>>(),
        [
            "kitchen:",
            "local/",
            "kitchen:worker:",
            "kitchen:web: kitchen:worker:"
        ]
    );
}
