//! Which program is used when, seen at programs that note what they are asked for.

use std::path::Path;

use super::super::decide::{Packets, Verdict};
use super::*;

/// A program that notes its name, and fails while a file `fails`, or `NAME-fails`, stands beside it. What the first two write is kept in
/// a file `table`, and flushed by somebody while `nft` runs if there is a file `flush`. It is written by another process: one that has a
/// file open for writing cannot run it, and neither can its children.
fn program(folder: &Path, name: &str) {
    let does = match name {
        "iptables-save" => "cat table",
        "iptables-restore" => {
            "grep '^-A INPUT ' table >kept
             sed -n -e '/^-A /p' -e 's/^-I INPUT 1 /-A INPUT /p' input >>kept; mv kept table"
        }
        _ => {
            "[ ! -e flush ] || { rm flush; : >table; }
             case $1 in
             -f) grep '^add rule' input >rules;;
             list) cat rules;;
             esac"
        }
    };
    let text = format!(
        "#!/bin/sh\ncd {}\ncat >input\necho {name} >>ran\ntouch table\n[ ! -e fails ] && [ ! -e {name}-fails ] || exit 1\n{does}\n",
        folder.display()
    );
    let file = folder.join(name).display().to_string();
    let script = "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"";
    let written = std::process::Command::new("sh")
        .args(["-c", script, "sh", &text, &file])
        .status();
    assert!(written.unwrap().success());
}

fn ran(folder: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(folder.join("ran")).unwrap_or_default();
    drop(fs_err::remove_file(folder.join("ran")));
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_other_program_is_for_systems_without_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    for name in ["iptables-save", "iptables-restore", "nft"] {
        program(place, name);
    }
    let mut keeper = Keeper {
        programs: Some(place.to_owned()),
        ..Keeper::new(Family::V4)
    };
    let rules = [Rule(Packets::Any, Verdict::Return)];
    // Somebody else is at the tables for longer than it waits.
    fs_err::write(place.join("fails"), "").unwrap();
    keeper.keep(&rules).await;
    assert_eq!(ran(place), ["iptables-save"]);
    assert_eq!(keeper.tool, None);
    fs_err::remove_file(place.join("fails")).unwrap();
    keeper.keep(&rules).await;
    assert_eq!(keeper.tool, Some(Tool::Iptables));
    assert!(ran(place).contains(&"iptables-restore".to_owned()));

    // It is removed, and comes back with the next change.
    for name in ["iptables-save", "iptables-restore"] {
        fs_err::remove_file(place.join(name)).unwrap();
    }
    keeper.keep(&rules).await;
    assert_eq!(keeper.tool, Some(Tool::Nft));
    assert_eq!(ran(place), ["nft", "nft"]);
    for name in ["iptables-save", "iptables-restore"] {
        program(place, name);
    }
    keeper.keep(&[]).await;
    assert_eq!(keeper.tool, Some(Tool::Iptables));
    let last = ["iptables-save", "iptables-restore", "nft", "iptables-save"];
    assert_eq!(ran(place), last, "its table is taken away");
}

#[tokio::test]
async fn a_first_program_that_never_works_is_left_and_one_that_has_worked_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    for name in ["iptables-save", "iptables-restore", "nft"] {
        program(place, name);
    }
    let keeper = || Keeper {
        programs: Some(place.to_owned()),
        ..Keeper::new(Family::V4)
    };
    let rules = [Rule(Packets::Any, Verdict::Return)];
    let fails = place.join("iptables-restore-fails");
    // The kernel has nothing for it.
    fs_err::write(&fails, "").unwrap();
    let mut never = keeper();
    never.keep(&rules).await;
    assert_eq!(never.tool, None);
    assert_eq!(never.pause(), LOOK_SOON);
    never.keep(&rules).await;
    assert_eq!(never.tool, Some(Tool::Nft));
    assert_eq!(never.pause(), LOOK_EVERY);
    ran(place);
    never.keep(&[]).await;
    assert_eq!(
        ran(place),
        ["iptables-save", "iptables-restore", "nft", "nft"]
    );

    fs_err::remove_file(&fails).unwrap();
    let mut once = keeper();
    once.keep(&rules).await;
    fs_err::write(&fails, "").unwrap();
    for pause in [2, 4, 8, 16, 32, 60, 60] {
        once.keep(&[]).await;
        assert_eq!(once.pause(), Duration::from_secs(pause));
    }
    assert_eq!(once.tool, Some(Tool::Iptables), "it may work again");
    fs_err::remove_file(&fails).unwrap();
    once.keep(&[]).await;
    assert_eq!(once.pause(), LOOK_EVERY);
}

#[tokio::test]
async fn what_is_flushed_before_it_is_looked_at_is_put_in_place_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    for name in ["iptables-save", "iptables-restore", "nft"] {
        program(place, name);
    }
    let mut keeper = Keeper {
        programs: Some(place.to_owned()),
        ..Keeper::new(Family::V4)
    };
    let rules = [Rule(Packets::Any, Verdict::Return)];
    for _ in 0..FAILURES {
        fs_err::write(place.join("flush"), "").unwrap();
        keeper.keep(&rules).await;
        assert_ne!(keeper.pause(), LOOK_EVERY);
    }
    keeper.keep(&rules).await;
    assert_eq!(keeper.pause(), LOOK_EVERY);
    assert_eq!(keeper.tool, Some(Tool::Iptables), "it works here");
    let table = fs_err::read_to_string(place.join("table")).unwrap();
    assert_eq!(table.lines().count(), 2, "{table}");
}
