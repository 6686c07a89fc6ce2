use super::*;

fn subject(host: &str) -> Subject {
    Subject {
        host: host.to_owned(),
        local_user: "ann".to_owned(),
        local_uid: 1000,
        home: PathBuf::from("/home/ann"),
        variables: [("KEYS".to_owned(), "/k%h".to_owned())].into(),
        ..Subject::default()
    }
}

/// What a text says of `subject`, where nothing can be included.
fn read(subject: &Subject, text: &str) -> Result<(Settings, Vec<Notice>), ConfigError> {
    let file = File {
        path: PathBuf::from("config"),
        content: text.as_bytes().to_vec(),
    };
    settings(subject, &file, &mut |_| Ok(Vec::new()))
}

fn host(name: &str, text: &str) -> HostConfig {
    let subject = subject(name);
    let (settings, notices) = read(&subject, text).unwrap();
    expanded(&subject, settings, notices).unwrap()
}

#[test]
fn without_a_configuration_there_are_defaults() {
    let config = host("Kitchen", "");
    assert_eq!(
        (config.host_name.as_str(), config.port, config.user.as_str()),
        ("kitchen", 22, "ann")
    );
    assert_eq!(
        (config.proxy, config.server_alive_count_max),
        (Proxy::Direct, None)
    );
    assert_eq!(config.user_known_hosts_files, None);
}

#[test]
fn what_is_not_used_is_named_where_it_is_said() {
    let first_words = |text: &str| {
        let unused = host("a", text).unused();
        let options = unused.iter().map(|words| words.split(':').next().unwrap());
        options.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(first_words(""), "");
    assert_eq!(
        first_words("StrictHostKeyChecking yes\nUserKnownHostsFile none\nForwardAgent no\n"),
        ""
    );
    assert_eq!(
        first_words(
            "StrictHostKeyChecking accept-new\nUserKnownHostsFile /a\nForwardAgent yes\nHostKeyAlias x\nPubkeyAcceptedAlgorithms y\n"
        ),
        "StrictHostKeyChecking UserKnownHostsFile HostKeyAlias ForwardAgent PubkeyAcceptedAlgorithms"
    );
}

#[test]
fn the_first_value_wins_and_files_are_collected() {
    let text = "Host kitchen\n Port 1\n IdentityFile a\nHost *\n Port 2\n User bob\n IdentityFile b\n IdentityFile a\n";
    let config = host("kitchen", text);
    assert_eq!((config.port, config.user.as_str()), (1, "bob"));
    assert_eq!(config.identity_files, [Path::new("a"), Path::new("b")]);
    assert_eq!(host("cellar", text).port, 2);
}

#[test]
fn what_was_typed_comes_before_the_configuration() {
    let mut typed = subject("a");
    typed.user = Some("root".to_owned());
    typed.port = Some(7);
    let (settings, _) = read(
        &typed,
        "User bob\nPort 1\nMatch user root\nConnectTimeout 5\n",
    )
    .unwrap();
    assert_eq!(
        (settings.user.as_deref(), settings.port),
        (Some("root"), Some(7))
    );
    assert_eq!(settings.connect_timeout, Some(Some(Duration::from_secs(5))));
}

#[test]
fn paths_are_expanded() {
    let text = "HostName %h.lan\nPort 5\nUser bob\nHostKeyAlias x\n\
                IdentityFile ~/.ssh/%n-%h-%r-%p\nIdentityFile ${KEYS}/%u-%i-%d%%\nIdentityFile none\nUserKnownHostsFile %k y\n";
    let config = host("a", text);
    assert_eq!(config.host_name, "a.lan");
    assert_eq!(
        config.identity_files,
        [
            Path::new("/home/ann/.ssh/a-a.lan-bob-5"),
            Path::new("/k%h/ann-1000-/home/ann%")
        ]
    );
    let hosts = config.user_known_hosts_files.unwrap();
    assert_eq!(hosts, [Path::new("x"), Path::new("y")]);
}

#[test]
fn tokens_and_variables_that_mean_nothing_are_named() {
    let fails = |text| {
        let subject = subject("a");
        let (settings, _) = read(&subject, text).unwrap();
        expanded(&subject, settings, Vec::new())
            .unwrap_err()
            .to_string()
    };
    assert!(fails("HostName %p").contains("HostName") && fails("HostName %p").contains("%p"));
    assert!(fails("IdentityFile x%").contains("IdentityFile"));
    assert!(fails("IdentityFile ${NO}/x").contains("NO"));
}

#[test]
fn the_first_proxy_wins_of_either_kind() {
    let config = host("a", "ProxyCommand nc '%h' %p # %n\nProxyJump b");
    assert_eq!(config.proxy, Proxy::Command("nc 'a' 22 # a".to_owned()));
    for text in [
        "ProxyJump none\nProxyJump b",
        "ProxyCommand none\nProxyJump b\nProxyCommand nc",
    ] {
        assert_eq!(host("a", text).proxy, Proxy::Direct, "{text}");
    }
    let config = host("a", "ProxyJump none\nProxyCommand nc");
    assert_eq!(config.proxy, Proxy::Command("nc".to_owned()));
    let Proxy::Jump(hops) = host("a", "ProxyJump b,c@d:5\nProxyCommand nc").proxy else {
        panic!("hops");
    };
    assert_eq!(hops.len(), 2);
}

#[test]
fn a_name_that_a_shell_would_run_is_not_put_into_a_command() {
    for name in ["$(x)", "a;b", "-oProxy", "a b", "`x`", "a'b"] {
        let subject = subject(name);
        let (settings, _) = read(&subject, "ProxyCommand nc %h %p").unwrap();
        let error = expanded(&subject, settings, Vec::new()).unwrap_err();
        assert!(
            matches!(error, ConfigError::Shell { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn an_agent_that_is_not_to_be_forwarded_stays_where_it_is() {
    let forward = |text| host("a", text).forward_agent;
    assert_eq!(forward(""), ForwardAgent::No);
    assert_eq!(
        forward("ForwardAgent no\nForwardAgent /s\nForwardAgent yes"),
        ForwardAgent::No
    );
    assert_eq!(
        forward("ForwardAgent yes\nForwardAgent no"),
        ForwardAgent::Yes
    );
    assert_eq!(
        forward("ForwardAgent /s"),
        ForwardAgent::Socket("/s".to_owned())
    );
}

#[test]
fn which_agent_is_asked() {
    let agent = |text| host("a", text).identity_agent;
    assert_eq!(agent(""), IdentityAgent::Environment);
    assert_eq!(
        agent("IdentityAgent SSH_AUTH_SOCK"),
        IdentityAgent::Environment
    );
    assert_eq!(agent("IdentityAgent none"), IdentityAgent::None);
    assert_eq!(
        agent("IdentityAgent ~/s"),
        IdentityAgent::Socket("/home/ann/s".into())
    );
    assert_eq!(
        agent("IdentityAgent $KEYS"),
        IdentityAgent::Socket("/k%h".into())
    );
    assert_eq!(agent("IdentityAgent $NO"), IdentityAgent::None);
}

#[test]
fn unknown_options_and_criteria_are_named_once_and_change_nothing() {
    let text = "Frobnicate yes\nFrobnicate no\nMatch exec \"touch /x\"\n Port 9\nMatch !final\n Port 8\n\
                Match host b exec \"no\"\n Port 7\nHost *\n Port 6\nHost b\n Unheard 1\n";
    let config = host("a", text);
    assert_eq!(config.port, 6);
    let said: Vec<String> = config.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "config line 1: frobnicate is not used here",
            "config line 3: the block is passed over, `Match exec` is not used here",
            "config line 5: the block is passed over, `Match final` is not used here",
        ]
    );
}

#[test]
fn a_wrong_value_names_its_line_where_it_counts() {
    let error = read(&subject("a"), "\nHost a\n Port x\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "port in the SSH configuration config, line 3, is wrong: a port from 1 to 65535 is expected"
    );
    for text in [
        "Host",
        "Match",
        "Match user",
        "Match all user x",
        "Port",
        "Port 1 2",
        "User \"a",
        "Include",
    ] {
        assert!(
            matches!(read(&subject("a"), text), Err(ConfigError::Value { .. })),
            "{text}"
        );
    }
    assert!(read(&subject("a"), "Host b\n Port x\n").is_ok());
}

#[test]
fn files_are_included_in_order_and_end_their_blocks() {
    let home = tempfile::tempdir().unwrap();
    let mut subject = subject("a");
    subject.home = home.path().to_owned();
    let write = |name: &str, text: &str| {
        let path = home.path().join(".ssh").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    write(
        "config",
        "Include conf.d/*.conf none\nHost b\n Include never\nHost *\n Include \"~/.ssh/last\"\n Port 9\n",
    );
    write("conf.d/1.conf", "Host b\n Port 1\n");
    write("conf.d/2.conf", "Port 2\n");
    write("conf.d/.hidden.conf", "User hidden\n");
    write("never", "Port x\n");
    write("last", "Host b\n User no\nHost a\n User yes\n");
    let config = load_from(
        &subject,
        &[(&home.path().join(".ssh/config"), &home.path().join(".ssh"))],
    )
    .unwrap();
    assert_eq!((config.port, config.user.as_str()), (2, "yes"));
    write("last", "Include last\n");
    let error = load(&subject).unwrap_err();
    assert!(error.to_string().contains("16 levels deep"), "{error}");
    write("last", "Include **/x\n");
    assert!(matches!(load(&subject), Err(ConfigError::Pattern { .. })));
    write("last", &"#".repeat((1 << 20) + 1));
    assert!(load(&subject).unwrap_err().to_string().contains("1 MiB"));
    write("last", &"\n".repeat(20_001));
    assert!(load(&subject).unwrap_err().to_string().contains("lines"));
}

#[test]
fn includes_that_multiply_end() {
    let mut find = |_: &str| {
        let file = File {
            path: PathBuf::from("twice"),
            content: b"Include x\nInclude x\n".to_vec(),
        };
        Ok(vec![file])
    };
    let file = File {
        path: PathBuf::from("config"),
        content: b"Include x\n".to_vec(),
    };
    let error = settings(&subject("a"), &file, &mut find).unwrap_err();
    assert!(matches!(error, ConfigError::Bound { .. }), "{error}");
}
