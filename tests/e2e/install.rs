//! `install.sh`: what the README's first command does, and that it can be undone.

use std::collections::BTreeSet;
use std::path::Path;

use testkit::{Workstation, programs::built};

use crate::simulated::{traces, workstation};

/// Runs `install.sh` with the programs that are built already, and returns what it said.
fn install(workstation: &Workstation, arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../install.sh");
    let os = built("os");
    let output = workstation
        .machine
        .command("env")
        .arg(format!("HOME={}", workstation.home().display()))
        .arg("bash")
        .arg(script)
        .arg("--built")
        .arg(os.parent().expect("a folder"))
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("nsenter");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "install.sh {arguments:?} failed:\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// All files and folders of a home.
fn files(home: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn what_is_installed_is_removed_and_what_was_there_stays() {
    let workstation = Workstation::new(None);
    // A folder that the installation also uses, with a file of somebody else.
    workstation.write(".local/share/fish/vendor_completions.d/other.fish", "");
    let before = files(&workstation.home());
    install(&workstation, &[]);
    let installed = files(&workstation.home());
    let local = workstation.home().join(".local");
    for program in ["bin/os", "libexec/os/os-agent"] {
        assert!(installed.contains(&local.join(program).display().to_string()));
    }
    let version = workstation.machine.run(
        local.join("bin/os").to_str().expect("a path"),
        &["--version"],
    );
    assert!(version.starts_with("os "), "{version}");

    install(&workstation, &[]);
    assert_eq!(files(&workstation.home()), installed);
    install(&workstation, &["--uninstall"]);
    assert_eq!(files(&workstation.home()), before);
    let said = install(&workstation, &["--uninstall"]);
    assert!(said.contains("nothing is installed"), "{said}");

    let prefix = workstation.home().join("new/prefix");
    let prefix = ["--prefix", prefix.to_str().expect("a path")];
    install(&workstation, &prefix);
    install(&workstation, &[&prefix[..], &["--uninstall"]].concat());
    fs_err::remove_dir(workstation.home().join("new")).expect("an empty folder");
    assert_eq!(files(&workstation.home()), before);
}

#[tokio::test]
async fn the_demo_shows_all_that_it_promises_and_is_undone() {
    let (workstation, engine) = workstation(None).await;
    let before = traces(&workstation, &engine).await;
    for round in ["first", "second"] {
        let said = install(&workstation, &["--demo"]);
        for promised in [
            "$ os simulate --name demo",
            "$ os scan",
            "generic-",
            "$ os push demo",
            "hello from device",
            "<h1>It works</h1>",
            "./install.sh --uninstall",
        ] {
            assert!(
                said.contains(promised),
                "{round}: no `{promised}` in\n{said}"
            );
        }
    }
    let said = install(&workstation, &["--uninstall"]);
    assert!(said.contains("removed"), "{said}");
    assert_eq!(traces(&workstation, &engine).await, before);
    assert!(!workstation.home().join("os-demo").exists());
    assert!(!workstation.home().join(".local/bin/os").exists());
}

#[tokio::test]
async fn a_sample_that_a_person_changed_is_kept() {
    let (workstation, _engine) = workstation(None).await;
    install(&workstation, &["--demo"]);
    let page = workstation.write("os-demo/public/index.html", "<h1>mine</h1>");
    let said = install(&workstation, &["--uninstall"]);
    assert!(said.contains("you changed it"), "{said}");
    assert_eq!(
        fs_err::read_to_string(page).expect("the page"),
        "<h1>mine</h1>"
    );
}
