//! What every command line has in common: where output goes, which code it ends with, what happens to a closed pipe.

use testkit::Workstation;

use crate::USAGE;

#[tokio::test]
async fn help_and_version_are_data() {
    let workstation = Workstation::new(None);
    let help = workstation.os(&["--help"]).await;
    help.success();
    assert_eq!(help.stderr, "");
    assert!(help.stdout.contains("Exit codes"), "{help}");
    let version = workstation.os(&["--version"]).await;
    version.success();
    assert_eq!(
        version.stdout,
        format!("os {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn a_wrong_command_line_is_talk_and_ends_with_its_code() {
    let workstation = Workstation::new(None);
    for arguments in [
        &["frobnicate"][..],
        &["--frobnicate"],
        &["--quiet", "--verbose"],
        &[],
    ] {
        let output = workstation.os(arguments).await;
        assert_eq!(output.code, USAGE, "{arguments:?}: {output}");
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn output_that_is_no_terminal_has_no_colours() {
    let workstation = Workstation::new(None);
    let output = workstation.os(&["frobnicate"]).await;
    assert!(!output.stderr.contains('\u{1b}'), "{output}");
}

#[tokio::test]
async fn no_color_is_heeded_in_a_terminal() {
    let mut workstation = Workstation::new(None);
    let coloured = workstation
        .start_in_terminal(&["frobnicate"])
        .output()
        .await;
    assert!(coloured.stdout.contains('\u{1b}'), "{coloured}");
    workstation.set("NO_COLOR", "1");
    let plain = workstation
        .start_in_terminal(&["frobnicate"])
        .output()
        .await;
    assert!(!plain.stdout.contains('\u{1b}'), "{plain}");
}

#[tokio::test]
async fn ssh_is_told_of_devices_and_the_rest_of_its_configuration_stays() {
    let workstation = Workstation::new(None);
    let own = "# mine\nHost a\n  User b";
    let config = workstation.write(".ssh/config", own);
    let printed = workstation.os(&["ssh-config"]).await;
    printed.success();
    let include = workstation.home().join(".config/os/ssh_config");
    let line = format!("Include \"{}\"\n", include.display());
    assert_eq!(printed.stdout, line);
    assert!(printed.stderr.contains("--install"), "{printed}");
    assert_eq!(fs_err::read_to_string(&config).unwrap(), own);
    for _ in 0..2 {
        let installed = workstation.os(&["ssh-config", "--install"]).await;
        installed.success();
        assert_eq!(installed.stdout, "");
        let text = fs_err::read_to_string(&config).unwrap();
        assert_eq!(text, format!("{line}{own}"));
    }
    let json = workstation.os(&["ssh-config", "--json"]).await;
    json.success();
    assert!(json.stdout.contains("\"installed\":false"), "{json}");
    let help = workstation.os(&["--help"]).await.stdout;
    assert!(
        help.contains("ssh-config") && help.contains("ssh-forget"),
        "{help}"
    );
    // What only `ssh` runs is nothing for people.
    assert!(
        !help.contains("ssh-name") && !help.contains("ssh-proxy"),
        "{help}"
    );
    let nothing = workstation.os(&["ssh-forget", "kitchen"]).await;
    assert_eq!(nothing.code, 4, "{nothing}");
}

#[tokio::test]
async fn asking_for_help_leaves_no_file_behind() {
    let workstation = Workstation::new(None);
    workstation.os(&["--help"]).await.success();
    let files: Vec<_> = fs_err::read_dir(workstation.home()).unwrap().collect();
    assert!(files.is_empty(), "{files:?}");
}
