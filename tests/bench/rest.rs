//! What the agent costs while nothing happens: memory without services and with twenty, and time on the processor.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::target::IDLE;
use testkit::{
    Engine, Namespace, Target,
    programs::{built, named},
};

use crate::agent::{agent, httpd};
use crate::desk::pause;
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::memory::{Processor, pss, waits};
use crate::project::desk;
use crate::version::mebibytes;

const SERVICES: usize = 20;
/// Until a program that was started has come to rest: the agent announces itself three times over some seconds.
const SETTLES: Duration = Duration::from_secs(5);
/// How often a process is looked at: no thread of it comes and goes unseen, since idle ones wait for longer.
const GLANCE: Duration = Duration::from_secs(5);
/// Glances in a minute, which is one sample of time on the processor.
const GLANCES: u32 = 12;

/// Without services. No other agent runs meanwhile: of pages that two processes share, each would be told the half.
pub(crate) async fn idle(table: &mut Table, rounds: usize) {
    let (_machine, engine) = Engine::on_a_machine().await;
    let program = built("os-agent");
    let without_libraries = named("OS_BENCH_STATIC_AGENT");
    let [mut ours, mut fixed, mut least, mut dockerd] = [(); 4].map(|()| Samples::default());
    for round in 0..=rounds {
        let own = at_rest(|dir| agent(&program, &engine, dir));
        let bare = at_rest(httpd);
        let other = without_libraries
            .as_ref()
            .map(|program| at_rest(|dir| agent(program, &engine, dir)));
        if round > 0 {
            ours.add(own);
            least.add(bare);
            if let Some(other) = other {
                fixed.add(other);
            }
            dockerd.add(pss(engine.pid()).expect("its memory"));
        }
    }
    let goal = Goal::AtMost(5.0);
    let what = "agent: PSS at rest, fresh";
    let peers = [("busybox httpd", least.clone()), ("dockerd", dockerd)];
    for (name, peer) in peers {
        let row = Row::beside(what, ours.clone(), (name, peer), goal);
        table.row(&row.in_unit(Unit::Mebibytes));
    }
    if let Some(program) = without_libraries {
        let what = "agent, static: PSS at rest, fresh";
        let row = Row::beside(what, fixed, ("busybox httpd", least), goal);
        table.row(&row.in_unit(Unit::Mebibytes));
        let mut size = Samples::default();
        size.add(mebibytes(&program));
        let what = "agent, static: size of the program";
        table.row(&Row::alone(what, Unit::Mebibytes, size, Goal::AtMost(6.0)));
    }
}

/// Starts a program on a machine of its own, lets it come to rest, and looks at its memory.
fn at_rest(program: impl FnOnce(&Path) -> Command) -> f64 {
    let machine = Namespace::new();
    let mut command = program(machine.dir());
    let mut child = machine.inside(|| command.spawn().expect("a program"));
    pause(SETTLES);
    let pid = i32::try_from(child.id()).expect("a process id");
    let memory = pss(pid).expect("the memory of a program that runs");
    child.kill().expect("to end it");
    child.wait().expect("its end");
    memory
}

/// With twenty services that do nothing.
pub(crate) async fn services(table: &mut Table, rounds: usize) {
    let (_lan, device, _workstation) = desk().await;
    let names: Vec<String> = (0..SERVICES)
        .map(|number| format!("service{number}"))
        .collect();
    let services: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), IDLE)).collect();
    device.converge(&Target::of(&services).text()).await;
    pause(SETTLES);
    let (agent, engine) = (device.agent.process().pid(), device.engine.pid());
    let [mut memory, mut of_dockerd, mut share, mut share_of_dockerd] =
        [(); 4].map(|()| Samples::default());
    let (mut ours, mut theirs) = (Processor::of(agent), Processor::of(engine));
    let (begun, woken) = (Instant::now(), waits(agent));
    for _ in 0..rounds {
        let minute = Instant::now();
        let (mut spent, mut spent_by_dockerd) = (0.0, 0.0);
        for _ in 0..GLANCES {
            pause(GLANCE);
            spent += ours.spent();
            spent_by_dockerd += theirs.spent();
            memory.add(pss(agent).expect("its memory"));
            of_dockerd.add(pss(engine).expect("its memory"));
        }
        let hundredth = minute.elapsed().as_secs_f64() * 10.0;
        share.add(spent / hundredth);
        share_of_dockerd.add(spent_by_dockerd / hundredth);
    }
    let wakes = u32::try_from(waits(agent) - woken).expect("a number of wakes");
    let wakes = f64::from(wakes) / begun.elapsed().as_secs_f64() * 60.0;
    let row = Row::beside(
        "agent: processor at rest, 20 services, a minute",
        share,
        ("dockerd", share_of_dockerd),
        Goal::Times(1.0),
    );
    table.row(&row.in_unit(Unit::Percent));
    let row = Row::beside(
        "agent: PSS at rest, 20 services",
        memory,
        ("dockerd", of_dockerd),
        Goal::AtMost(8.0),
    );
    table.row(&row.in_unit(Unit::Mebibytes));
    table.note(format!(
        "at rest, with 20 services, the main thread of the agent was woken {wakes:.0} times a minute"
    ));
}
