//! A file is saved while a push watches: until the service gives the new one, taken up by itself or after a new start.
//!
//! The peer is what the engine needs for the same by itself: `docker cp` into the same container, and `docker restart`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use testkit::Workstation;

use crate::desk::{os, shell, until_answers};
use crate::figure::{Goal, Row, Samples, Table};
use crate::project::{ADDRESS, desk, one_service};

/// Where the service answers.
const PORT: u16 = 8080;
const ITSELF: &str = "FROM os-test/busybox\nWORKDIR /app\n#dev-cmd-live=sh run.sh\nCOPY . /app\n";

/// A push that watches. Dropping it ends it.
struct Watching(Child);

impl Watching {
    fn start(workstation: &Workstation, folder: &str) -> Self {
        let mut push = os(workstation, &["push", ADDRESS, "--source", folder]);
        push.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = workstation
            .machine
            .inside(|| push.spawn().expect("a push that starts"));
        let told = child.stderr.take().expect("standard error");
        let mut told = BufReader::new(told).lines();
        let begins = told.any(|line| line.is_ok_and(|line| line.contains("watching the files")));
        assert!(begins, "it ended and watched nothing");
        // Read on, so that it never waits for us.
        std::thread::spawn(move || told.for_each(drop));
        Self(child)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    one_service(&workstation, "itself");
    workstation.write("itself/Dockerfile", ITSELF);
    one_service(&workstation, "restarted");
    let container = "$(docker ps --quiet --latest)";
    for (folder, what, name, peer, goal) in [
        (
            "itself",
            "live: a file is saved, until it is served",
            "docker cp",
            format!("docker cp index.html {container}:/app/"),
            Goal::AtMost(50.0),
        ),
        (
            "restarted",
            "live: a file is saved, until the new process serves it",
            "docker cp, docker restart",
            format!("docker cp index.html {container}:/app/ && docker restart {container}"),
            Goal::TimesPlus(1.0, 60.0),
        ),
    ] {
        let _watching = Watching::start(&workstation, folder);
        let (mut ours, mut theirs) = (Samples::default(), Samples::default());
        for round in 0..=rounds {
            let marker = format!("ours-{folder}-{round}.");
            let save = format!("printf %s {marker} >{folder}/index.html");
            let own = answers(&workstation, &marker, &mut shell(&workstation, &save));
            let marker = format!("theirs-{folder}-{round}.");
            workstation.write("index.html", &marker);
            let mut command = shell(&workstation, &peer);
            command.env("DOCKER_HOST", format!("tcp://{ADDRESS}:2375"));
            let other = answers(&workstation, &marker, &mut command);
            if round > 0 {
                ours.time(own);
                theirs.time(other);
            }
        }
        table.row(&Row::beside(what, ours, (name, theirs), goal));
    }
    drop(device);
}

fn answers(workstation: &Workstation, marker: &str, command: &mut Command) -> std::time::Duration {
    let page = SocketAddr::new(ADDRESS.parse().expect("an address"), PORT);
    until_answers(&workstation.machine, page, marker, command).1
}
