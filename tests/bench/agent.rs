//! The agent: how soon it does what it is told, and its memory meanwhile. What it costs at rest is in `rest.rs`.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, EventsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions,
};
use futures_util::StreamExt;
use testkit::image::BUSYBOX;
use testkit::target::IDLE;
use testkit::until::PATIENCE;
use testkit::{Device, Engine, Namespace, Target, Workstation, programs::built};

use crate::desk::{command, os, pause, timed};
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::memory::pss;
use crate::project::{ADDRESS, bare, desk, mark, two_services};
use crate::version::mebibytes;

/// How often memory is looked at.
const GLANCE: Duration = Duration::from_millis(5);

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, device, workstation) = desk().await;
    start(table, &device, rounds);
    to_running(table, &device, &workstation, rounds).await;
    pushing(table, &device, &workstation, rounds.min(5)).await;
    of_the_programs(table, &device);
}

/// The command line of an agent on an engine, with its files in `dir`.
pub(crate) fn agent(program: &Path, engine: &Engine, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg("--socket")
        .arg(dir.join("agent.sock"))
        .arg("--state-dir")
        .arg(dir.join("state"))
        .arg("--services-dir")
        .arg(dir.join("services"))
        .arg("--config-json")
        .arg(dir.join("config.json"))
        .arg("--engine")
        .arg(format!("unix://{}", engine.socket().display()))
        .args(["--uuid", testkit::agent::UUID, "--hostname", "bench"])
        .args(["--device-type", "generic-amd64", "--arch", "amd64"])
        .args(["--os-version", "os 1.0.0", "--announce", "all"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The least that answers over HTTP.
pub(crate) fn httpd(dir: &Path) -> Command {
    let mut httpd = Command::new("busybox");
    httpd
        .args(["httpd", "-f", "-p", "127.0.0.1:9099", "-h"])
        .arg(dir)
        .stdin(Stdio::null());
    httpd
}

/// From the start of the program to its first answer.
fn start(table: &mut Table, device: &Device, rounds: usize) {
    let machine = Namespace::new();
    let dir = machine.dir();
    let socket = dir.join("agent.sock");
    let server = SocketAddr::from(([127, 0, 0, 1], 9099));
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let took = answers_after(
            &machine,
            &mut agent(&built("os-agent"), &device.engine, dir),
            || UnixStream::connect(&socket).ok(),
        );
        let their = answers_after(&machine, &mut httpd(dir), || {
            TcpStream::connect(server).ok()
        });
        if round > 0 {
            ours.time(took);
            theirs.time(their);
        }
    }
    let peer = ("busybox httpd", theirs);
    table.row(&Row::beside(
        "agent: start to first /ping",
        ours,
        peer,
        Goal::AtMost(20.0),
    ));
}

fn answers_after<S: Read + Write>(
    machine: &Namespace,
    command: &mut Command,
    connect: impl Fn() -> Option<S> + Send + Sync,
) -> Duration {
    machine.inside(|| {
        let start = Instant::now();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let took = loop {
            if let Some(mut stream) = connect() {
                let mut first = [0];
                let asked = stream.write_all(b"GET /ping HTTP/1.0\r\nHost: device\r\n\r\n");
                if asked.and_then(|()| stream.read_exact(&mut first)).is_ok() {
                    break start.elapsed();
                }
            }
            assert!(start.elapsed() < PATIENCE, "`{command:?}` does not answer");
            pause(Duration::from_micros(200));
        };
        child.kill().expect("to end it");
        child.wait().expect("its end");
        took
    })
}

/// From a target to the engine saying that its container has started. Another service runs already, as `docker run` finds its
/// network made.
async fn to_running(table: &mut Table, device: &Device, workstation: &Workstation, rounds: usize) {
    let engine = device.engine.client().await;
    let starts = Starts::watch(device.engine.socket(), &engine).await;
    let without = Target::of(&[("other", IDLE)]).text();
    let with = Target::of(&[("other", IDLE), ("main", IDLE)]).text();
    device.converge(&without).await;
    starts.forget();
    let (mut ours, mut run, mut api) = (Samples::default(), Samples::default(), Samples::default());
    let mut accepted = Samples::default();
    for round in 0..=rounds {
        let start = Instant::now();
        let endpoint = device.agent.endpoint();
        let answer = endpoint.post("/v2/local/target-state", with.clone()).await;
        let answered = start.elapsed();
        assert!(
            answer.status.is_success(),
            "it was refused: {}",
            answer.text()
        );
        let (at, _) = starts.next();
        let took = at.duration_since(start);
        device.converge(&without).await;

        let mut docker = command(workstation, "docker");
        docker
            .env("DOCKER_HOST", format!("tcp://{ADDRESS}:2375"))
            .args(["run", "--detach", BUSYBOX, "sh", "-c", IDLE]);
        let start = Instant::now();
        timed(&workstation.machine, &mut docker);
        let (at, id) = starts.next();
        let their = at.duration_since(start);
        gone(&engine, &id).await;

        let start = Instant::now();
        run_plainly(&engine).await;
        let (at, id) = starts.next();
        let limit = at.duration_since(start);
        gone(&engine, &id).await;
        if round > 0 {
            ours.time(took);
            run.time(their);
            api.time(limit);
            accepted.time(answered);
        }
    }
    let what = "agent: target to its acceptance";
    let goal = Goal::AtMost(10.0);
    table.row(&Row::alone(what, Unit::Milliseconds, accepted, goal));
    let what = "agent: target to container started";
    let goal = Goal::TimesPlus(1.0, 50.0);
    table.row(&Row::beside(what, ours.clone(), ("docker run", run), goal));
    let limit = ("create and start in the API", api);
    table.row(&Row::beside(what, ours, limit, Goal::None));
    device.converge(&Target::of(&[]).text()).await;
}

/// The least that an engine must be asked for.
async fn run_plainly(engine: &Docker) {
    let body = ContainerCreateBody {
        image: Some(BUSYBOX.to_owned()),
        cmd: Some(["sh", "-c", IDLE].map(str::to_owned).to_vec()),
        ..ContainerCreateBody::default()
    };
    let created = engine.create_container(None::<CreateContainerOptions>, body);
    let id = created.await.expect("a container").id;
    let start = engine.start_container(&id, None::<StartContainerOptions>);
    start.await.expect("to start it");
}

/// When the engine said that a container has started, and which.
#[derive(Debug)]
struct Starts(mpsc::Receiver<(Instant, String)>);

impl Starts {
    /// Listens on a thread of its own, which sees an event when it comes, whatever is done meanwhile.
    async fn watch(socket: PathBuf, engine: &Docker) -> Self {
        let (told, starts) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let socket = socket.to_str().expect("a path");
                let version = bollard::API_DEFAULT_VERSION;
                let engine = Docker::connect_with_unix(socket, 60, version).expect("a client");
                let filters =
                    HashMap::from([("type", vec!["container"]), ("event", vec!["start"])]);
                let options = EventsOptionsBuilder::new().filters(&filters).build();
                let mut events = engine.events(Some(options));
                while let Some(Ok(event)) = events.next().await {
                    let id = event.actor.and_then(|actor| actor.id).expect("an id");
                    if told.send((Instant::now(), id)).is_err() {
                        return;
                    }
                }
            });
        });
        let starts = Self(starts);
        // Until it is there.
        let begun = Instant::now();
        loop {
            run_plainly(engine).await;
            if let Ok((_, id)) = starts.0.recv_timeout(Duration::from_secs(1)) {
                gone(engine, &id).await;
                return starts;
            }
            assert!(begun.elapsed() < PATIENCE, "the engine tells no events");
        }
    }

    fn next(&self) -> (Instant, String) {
        self.0.recv_timeout(PATIENCE).expect("a start in time")
    }

    fn forget(&self) {
        while self.0.try_recv().is_ok() {}
    }
}

async fn gone(engine: &Docker, id: &str) {
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    // The agent has removed its own.
    let _ = engine.remove_container(id, Some(force)).await;
}

/// The most memory that the agent has while projects are pushed.
async fn pushing(table: &mut Table, device: &Device, workstation: &Workstation, rounds: usize) {
    two_services(workstation, "ours", 8081);
    let pid = device.agent.process().pid();
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most: f64 = 0.0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(pss(pid).unwrap_or_default());
                pause(GLANCE);
            }
            most
        });
        for round in 0..rounds {
            mark(workstation, "ours/web", &format!("memory-{round}"));
            let push = ["push", ADDRESS, "--source", "ours", "--detached"];
            timed(&workstation.machine, &mut os(workstation, &push));
        }
        done.store(true, Ordering::Relaxed);
        watch.join().expect("the watch")
    });
    let mut memory = Samples::default();
    memory.add(most);
    table.row(&Row::alone(
        "agent: PSS while pushing, at most",
        Unit::Mebibytes,
        memory,
        Goal::AtMost(8.0),
    ));
    bare(device, workstation).await;
}

fn of_the_programs(table: &mut Table, device: &Device) {
    let mut ours = Samples::default();
    ours.add(mebibytes(&built("os-agent")));
    let mut theirs = Samples::default();
    theirs.add(mebibytes(Path::new("/usr/sbin/dockerd")));
    let row = Row::beside(
        "agent: size of the program",
        ours,
        ("dockerd", theirs),
        Goal::AtMost(6.0),
    );
    table.row(&row.in_unit(Unit::Mebibytes));
    let log = device.agent.log();
    let complaints = log.lines().filter(|line| line.contains("ERROR")).count();
    if complaints > 0 {
        table.note(format!(
            "the agent told {complaints} errors while it was measured"
        ));
    }
}
