//! `os simulate`: starts, lists and stops devices on this machine.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use tokio::sync::mpsc;

use crate::{
    commands::Context,
    discovery::Selector,
    env,
    failure::{Failure, Kind},
    simulate::{
        self, MOST, Request, SimulateError, SystemWish, Systems, Which, Wish, agent_program,
        find_engine,
    },
    ui::render,
};

use super::ssh_forget;

/// Starts simulated devices on this machine
///
/// A simulated device is the device's agent with the container engine of this machine. It has an address of its own, it is found by
/// `os scan`, and projects are pushed to it as to any device; only this machine reaches it. What a project asks for beyond an ordinary
/// container (`privileged`, the host's network, devices, capabilities) is left out, unless `--allow-privileged` is given.
///
/// `os simulate --stop` removes the devices with their containers, networks, volumes and images.
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Args {
    /// How many devices to start
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::try_from(MOST).unwrap_or(i64::MAX)))]
    count: u16,
    /// Host name of the device; one of that name that is there is started again, or kept running
    #[arg(long, value_parser = Wish::host_name, conflicts_with = "count")]
    name: Option<String>,
    /// Device type that it claims to be
    #[arg(long, value_name = "SLUG", value_parser = slug)]
    device_type: Option<String>,
    /// Architecture that it claims to have; images are still built for this machine
    #[arg(long, value_parser = PossibleValuesParser::new(["aarch64", "amd64", "armv7hf", "i386", "rpi"]))]
    arch: Option<String>,
    /// Let projects run privileged and in the host's network, as on a device: they may then do anything to this machine
    #[arg(long)]
    allow_privileged: bool,
    /// The os-agent program, also by the variable `OSCLI_AGENT`; the default is the one that was installed with this program
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    agent: Option<PathBuf>,
    /// Boot the whole system of a device, not only its agent: with its own engine, SSH, name and network, of Debian's packages.
    /// Needs root, mmdebstrap, systemd-container and iproute2, and a checkout of the sources; the first start takes minutes and
    /// downloads 150 MB. With `--list` and `--stop`, those devices are meant
    #[arg(long, conflicts_with_all = ["device_type", "arch", "allow_privileged"])]
    system: bool,
    /// With `--system`: the checkout; the default is the one that this folder or this program lies in
    #[arg(long, value_name = "PATH", requires = "system", value_hint = clap::ValueHint::DirPath)]
    sources: Option<PathBuf>,
    /// List the simulated devices
    #[arg(long, conflicts_with_all = ["stop", "count", "name", "device_type", "arch", "allow_privileged"])]
    list: bool,
    /// Stop devices and remove all that is left of them: those that are named, else all
    #[arg(long, conflicts_with_all = ["count", "name", "device_type", "arch", "allow_privileged"])]
    stop: bool,
    /// With `--stop`: all devices
    #[arg(long, requires = "stop", conflicts_with = "simulated")]
    all: bool,
    /// With `--stop`: the devices to stop
    #[arg(value_name = "DEVICE", requires = "stop")]
    simulated: Vec<String>,
}

/// A device type or the like: it ends up in file names and URLs of projects.
fn slug(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.is_empty() && text.len() <= 63 && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("use lower-case letters, digits and `-`".to_owned())
    }
}

/// Starts, lists or stops.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if args.system {
        return whole(context, args).await;
    }
    if args.list {
        let folder = context.environment.paths.simulated_devices();
        return Ok(render::simulate::list(
            &context.console,
            &simulate::list(&folder)?,
        )?);
    }
    if args.stop {
        return stop(context, &args.simulated).await;
    }
    start(context, args).await
}

/// The same for devices with the whole system.
async fn whole(context: &Context, args: Args) -> Result<(), Failure> {
    let environment = &context.environment;
    let (program, path) = (environment.program.as_deref(), environment.variable("PATH"));
    let sources = args
        .sources
        .map(|path| env::Paths::absolute(&environment.current_dir, &path));
    let systems = Systems::find(sources.as_deref(), &environment.current_dir, program, path)?;
    let console = &context.console;
    if args.list {
        return Ok(render::simulate_system::list(
            console,
            &systems.list().await?,
        )?);
    }
    let (events, told) = mpsc::unbounded_channel();
    if args.stop {
        let work = async {
            let events = events;
            systems.remove(&args.simulated, &events).await
        };
        let (removed, ()) = tokio::join!(work, render::simulate_system::follow(console, told));
        let removed = removed?;
        for uuid in removed.iter().filter_map(|system| system.uuid.as_deref()) {
            ssh_forget::forget_device(context, uuid)?;
        }
        return Ok(render::simulate_system::removed(console, &removed)?);
    }
    let agent = named_agent(context, args.agent);
    let wish = SystemWish {
        count: args.count.into(),
        name: args.name,
        agent: agent_program(agent.as_deref(), program, path).map_err(SimulateError::Agent)?,
    };
    let work = async {
        let events = events;
        systems.start(&wish, &events, &context.interrupt).await
    };
    let (started, ()) = tokio::join!(work, render::simulate_system::follow(console, told));
    Ok(render::simulate_system::started(console, &started?)?)
}

/// The agent that the command line or the environment names.
fn named_agent(context: &Context, argument: Option<PathBuf>) -> Option<PathBuf> {
    let environment = &context.environment;
    argument
        .or_else(|| environment.variable(env::OSCLI_AGENT).map(PathBuf::from))
        .map(|path| env::Paths::absolute(&environment.current_dir, &path))
}

async fn start(context: &Context, args: Args) -> Result<(), Failure> {
    let environment = &context.environment;
    let folder = environment.paths.simulated_devices();
    let request = Request {
        count: args.count.into(),
        wish: Wish {
            name: args.name,
            device_type: args.device_type,
            arch: args.arch,
            allow_privileged: args.allow_privileged,
        },
        agent: named_agent(context, args.agent),
        this_program: environment.program.clone(),
        path: environment.variable("PATH").map(str::to_owned),
        engine_socket: find_engine(&environment.variables).await?,
    };
    let (events, told) = mpsc::unbounded_channel();
    let work = async {
        // Moved in, so that the renderer ends with the work.
        let events = events;
        simulate::start(&folder, &request, &events, &context.interrupt).await
    };
    let (records, ()) = tokio::join!(work, render::simulate::follow(&context.console, told));
    Ok(render::simulate::started(
        &context.console,
        &records?,
        &simulate::list(&folder)?,
    )?)
}

async fn stop(context: &Context, names: &[String]) -> Result<(), Failure> {
    let environment = &context.environment;
    let folder = environment.paths.simulated_devices();
    let which = if names.is_empty() {
        Which::All
    } else {
        let parsed = names.iter().map(|name| Selector::parse(name));
        Which::Named(
            parsed
                .collect::<Result<_, _>>()
                .map_err(|error| Failure::from_error(Kind::Usage, &error))?,
        )
    };
    let engine = find_engine(&environment.variables).await.ok();
    let kept = [environment.paths.builds(), environment.paths.locks()];
    let (events, told) = mpsc::unbounded_channel();
    let work = async {
        let events = events;
        simulate::stop(&folder, &which, engine.as_deref(), &kept, &events).await
    };
    let (stopped, ()) = tokio::join!(work, render::simulate::follow(&context.console, told));
    Ok(render::simulate::stopped(&context.console, &stopped?)?)
}
