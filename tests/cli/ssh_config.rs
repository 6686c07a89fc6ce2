//! OpenSSH's configuration as `os` reads it, against what `ssh -G` of this machine makes of the same files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use os_cli::transport::ssh::config::{
    Combine, ConfigError, File, Hop, Settings, StrictChecking, Subject, WrittenProxy, settings,
};

/// Configurations that say something in a way of their own; `FOLDER` is where they lie.
const CORPUS: &[&str] = &[
    "",
    "Host a\n  HostName %h.lan\n  Port 5\n  User bob\n",
    "host=a\nhostname=y.lan\nport = 7\n\tuser\t=\tbob\n",
    "HOST A a\nPORT 8\n",
    "Host *\nPort 1\nHost a\nPort 2\n",
    "Host a b ?.lan\nPort 3\nHost !c *\nPort 4\n",
    "Host !a\nPort 3\nHost * !b.lan\nPort 4\n",
    "Host \"a\" 'b.lan'\nUser \"x y\"\nIdentityFile '/a b/\"c'\n",
    "IdentityFile ~/.ssh/%r\nIdentityFile /k\\ 1\nIdentityFile /k\nIdentityFile /k\nCertificateFile /c # comment\n",
    "Host a # comment\nPort 9 # comment\nHost b#c\nPort 10\n",
    "Match all\nPort 2\n",
    "Match host a\nPort 2\nMatch host *.lan,!b.lan\nPort 3\n",
    "HostName %h.lan\nMatch host a.lan\nPort 2\nMatch originalhost a\nUser bob\nMatch user bob host b.lan\nConnectTimeout 3\n",
    "Match !host a\nPort 2\nMatch !originalhost b.lan\nPort 3\n",
    "Match localuser root\nPort 2\nMatch !localuser root\nPort 3\n",
    "Match user root\nPort 2\nUser x\nMatch user x\nConnectTimeout 1m\n",
    "Match host=\"a\" user=root\nPort 2\n",
    "Match host a exec false\nPort 2\nMatch host zzz exec true\nPort 3\n",
    "Match canonical\nPort 2\nHost *\nPort 3\n",
    "ProxyJump x\nProxyCommand nc\n",
    "ProxyCommand nc '%h' \"%p\" # no comment\nProxyJump x\n",
    "ProxyCommand none\nProxyJump x\n",
    "ProxyJump none\nProxyCommand nc\n",
    "ProxyJump none\nProxyJump x\n",
    "ForwardAgent no\nForwardAgent /s\nForwardAgent yes\n",
    "ProxyJump u@x:5,y,[fd00::1]:6\n",
    "ProxyJump ssh://u@x:5\n",
    "Host a\nProxyCommand=nc %h\nHost *\nProxyCommand other\n",
    "HostKeyAlias x\nUserKnownHostsFile /a \"/b c\" /d\nUserKnownHostsFile /e\n",
    "UserKnownHostsFile none\n",
    "StrictHostKeyChecking accept-new\nForwardAgent yes\nIdentitiesOnly yes\nIdentityAgent none\n",
    "StrictHostKeyChecking off\nForwardAgent /s\nIdentitiesOnly no\nIdentityAgent SSH_AUTH_SOCK\n",
    "StrictHostKeyChecking no\nForwardAgent no\nIdentityAgent ~/agent\n",
    "StrictHostKeyChecking true\nForwardAgent True\nIdentitiesOnly TRUE\nIdentityAgent $SOCK\n",
    "ConnectTimeout 1h2m3s\nServerAliveInterval 15\nServerAliveCountMax 9\nAddKeysToAgent yes\n",
    "ConnectTimeout none\nServerAliveInterval 1w\n",
    "Ciphers aes256-ctr\nKexAlgorithms curve25519-sha256\nMACs hmac-sha2-256,hmac-sha2-512\n",
    "HostKeyAlgorithms ssh-ed25519\nPubkeyAcceptedKeyTypes ssh-ed25519,rsa-sha2-256\n",
    "Include FOLDER/other\nPort 9\n",
    "Host b.lan\nInclude FOLDER/other\nHost *\nPort 9\n",
    "Host a\nInclude FOLDER/other FOLDER/none FOLDER/more*\nUser late\n",
    "Include \"FOLDER/with space\"\nInclude FOLDER/other\n",
    "Match originalhost \"*.lan,!*'*\" user root\nPort 4\n",
    "  \n#\n\n   # Port 3\nPort 4\r\n",
    "Port 4",
];

const FILES: &[(&str, &str)] = &[
    (
        "other",
        "User from-other\nHost a\nPort 77\nHost b.lan\nPort 78\n",
    ),
    ("more1", "IdentityFile /more1\nHost none\nPort 1\n"),
    ("more2", "IdentityFile /more2\nConnectTimeout 4\n"),
    ("with space", "Match host a\nIdentityFile /spaced\n"),
];

const HOSTS: &[&str] = &["a", "b.lan", "root@a", "c"];

/// What ssh would do with the file; `None` when it refuses it.
fn told_by_ssh(file: &Path, host: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let output = Command::new("ssh")
        .args(["-G", "-F"])
        .arg(file)
        .arg("--")
        .arg(host)
        .output()
        .expect("ssh");
    output.status.success().then(|| {
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in String::from_utf8(output.stdout).expect("text").lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            told.entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        told
    })
}

fn told_by_us(file: &Path, folder: &Path, host: &str) -> Result<Settings, ConfigError> {
    let (user, host) = match host.split_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, host),
    };
    let subject = Subject {
        host: host.to_owned(),
        user,
        local_user: "root".to_owned(),
        home: PathBuf::from("/root"),
        ..Subject::default()
    };
    let read = |path: PathBuf| File {
        content: fs_err::read(&path).expect("a file"),
        path,
    };
    let mut find = |pattern: &str| {
        let name = pattern
            .strip_prefix(folder.to_str().expect("a name"))
            .expect("a file of ours");
        let name = name.trim_start_matches('/');
        let known = FILES.iter().map(|(known, _)| *known);
        let meant = known.filter(|known| {
            name.strip_suffix('*')
                .map_or(*known == name, |start| known.starts_with(start))
        });
        Ok(meant.map(|name| read(folder.join(name))).collect())
    };
    settings(&subject, &read(file.to_owned()), &mut find).map(|(settings, _)| settings)
}

/// The differences, option by option. What the configuration does not say is not compared: it is OpenSSH's default.
fn differences(ours: &Settings, told: &BTreeMap<String, Vec<String>>, host: &str) -> String {
    let mut found = String::new();
    let host = host.rsplit('@').next().expect("a host");
    let one = |name: &str| told.get(name).and_then(|values| values.first()).cloned();
    let mut same = |name: &str, ours: Option<String>, default: &str| {
        let ours = ours.unwrap_or_else(|| default.to_owned());
        let theirs = one(name).unwrap_or_else(|| default.to_owned());
        if ours != theirs {
            writeln!(found, "  {name}: ours {ours:?}, ssh's {theirs:?}").expect("text");
        }
    };
    let host_name = ours.host_name.as_ref().map(|name| name.replace("%h", host));
    same("hostname", host_name, host);
    same("port", ours.port.map(|port| port.to_string()), "22");
    same("user", ours.user.clone(), "root");
    same("hostkeyalias", ours.host_key_alias.clone(), "");
    // It shows the one option expanded.
    let agent = ours.identity_agent.as_ref();
    same(
        "identityagent",
        agent.map(|agent| agent.replace("~/", "/root/")),
        "",
    );
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    same("identitiesonly", ours.identities_only.map(yes), "no");
    let time = |time: Option<std::time::Duration>| {
        time.map_or("none".to_owned(), |time| time.as_secs().to_string())
    };
    same("connecttimeout", ours.connect_timeout.map(time), "none");
    same(
        "serveraliveinterval",
        ours.server_alive_interval.map(time),
        "0",
    );
    same(
        "serveralivecountmax",
        ours.server_alive_count_max.map(|count| count.to_string()),
        "3",
    );
    let strict = ours.strict_host_key_checking.map(|strict| match strict {
        StrictChecking::Ask => "ask",
        StrictChecking::Refuse => "true",
        StrictChecking::AcceptNew => "accept-new",
        StrictChecking::Off => "false",
    });
    same("stricthostkeychecking", strict.map(str::to_owned), "ask");
    let forward = ours.forward_agent.map(yes);
    let forward = ours.forward_agent_socket.clone().or(forward);
    same("forwardagent", forward, "no");
    let (jump, command) = proxy(ours);
    same("proxyjump", jump, "");
    same("proxycommand", command, "");
    if let Some(files) = &ours.user_known_hosts_files {
        same("userknownhostsfile", Some(files.join(" ")), "");
    }
    for (name, list) in [
        ("ciphers", &ours.ciphers),
        ("kexalgorithms", &ours.kex_algorithms),
        ("macs", &ours.macs),
        ("hostkeyalgorithms", &ours.host_key_algorithms),
        ("pubkeyacceptedalgorithms", &ours.pubkey_accepted_algorithms),
    ] {
        if let Some(list) = list {
            assert_eq!(
                list.how,
                Combine::Replace,
                "others depend on the defaults of this ssh"
            );
            same(name, Some(list.names.join(",")), "");
        }
    }
    for (name, files) in [
        ("identityfile", &ours.identity_files),
        ("certificatefile", &ours.certificate_files),
    ] {
        let theirs = told.get(name).cloned().unwrap_or_default();
        if !files.is_empty() && *files != theirs {
            writeln!(found, "  {name}: ours {files:?}, ssh's {theirs:?}").expect("text");
        }
    }
    found
}

/// What ssh calls `proxyjump`, and `proxycommand`.
fn proxy(ours: &Settings) -> (Option<String>, Option<String>) {
    match &ours.proxy {
        Some(WrittenProxy::Jump(hops)) => {
            let hops: Vec<String> = hops.iter().map(hop).collect();
            (Some(hops.join(",")), None)
        }
        Some(WrittenProxy::Command(line)) => (None, Some(line.clone())),
        Some(WrittenProxy::NoJump | WrittenProxy::NoCommand) | None => (None, None),
    }
}

fn hop(hop: &Hop) -> String {
    let user = hop
        .user
        .as_ref()
        .map(|user| format!("{user}@"))
        .unwrap_or_default();
    let host = if hop.host.contains(':') {
        format!("[{}]", hop.host)
    } else {
        hop.host.clone()
    };
    let port = hop.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{user}{host}{port}")
}

/// Compares the readings of one configuration for all hosts.
fn compare(folder: &Path, text: &str, only_host: Option<&str>) -> String {
    let file = folder.join("config");
    let text = text.replace("FOLDER", folder.to_str().expect("a name"));
    fs_err::write(&file, &text).expect("a file");
    let mut found = String::new();
    for host in HOSTS
        .iter()
        .filter(|host| only_host.is_none_or(|only| only == **host))
    {
        let differs = match (told_by_us(&file, folder, host), told_by_ssh(&file, host)) {
            (Ok(ours), Some(told)) => differences(&ours, &told, host),
            (Err(_), None) => String::new(),
            (Err(error), Some(_)) => format!("  we refuse it: {error}\n"),
            (Ok(_), None) => "  ssh refuses it\n".to_owned(),
        };
        if !differs.is_empty() {
            write!(found, "for {host}:\n{text}\n{differs}\n").expect("text");
        }
    }
    found
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in FILES {
        fs_err::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

#[test]
fn a_configuration_means_what_ssh_takes_it_for() {
    let folder = folder();
    let found: String = CORPUS
        .iter()
        .map(|text| compare(folder.path(), text, None))
        .collect();
    assert!(found.is_empty(), "{found}");
}

#[test]
fn lines_thrown_together_mean_what_ssh_takes_them_for() {
    let lines: Vec<&str> = CORPUS.iter().flat_map(|text| text.lines()).collect();
    let folder = folder();
    // Any numbers do that are the same in every run.
    let mut seed: u64 = 0x5eee;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    let mut found = String::new();
    for round in 0..250 {
        let count = 1 + next(12);
        let chosen: Vec<&str> = (0..count).map(|_| lines[next(lines.len())]).collect();
        let text = chosen.join("\n");
        found += &compare(folder.path(), &text, Some(HOSTS[round % HOSTS.len()]));
    }
    assert!(found.is_empty(), "{found}");
}
