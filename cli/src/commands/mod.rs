//! One file for each verb: its arguments, whose doc comments are the help, and `run`.
//!
//! A verb resolves its inputs, calls one operation, and hands the operation's events to a renderer.

mod act;
pub mod boot;
pub mod cache;
mod cloud_device;
pub mod completions;
pub mod config;
pub mod configure;
mod container;
pub mod cp;
mod cursor_file;
mod disk;
pub mod docker_carrier;
pub mod docker_context;
pub mod download;
mod enter;
pub mod exec;
pub mod flash;
mod given;
mod identify;
pub mod image;
pub mod info;
mod interrupts;
pub mod local;
pub mod logs;
mod moment;
pub mod new;
mod output;
mod passed_over;
mod plainly;
pub mod preload;
mod project;
pub mod ps;
pub mod purge;
pub mod push;
mod reach;
mod remote;
pub mod restart;
pub mod scan;
mod seen_services;
pub mod simulate;
pub mod ssh;
pub mod ssh_config;
mod ssh_device;
mod ssh_first;
pub mod ssh_forget;
pub mod ssh_keeper;
pub mod ssh_name;
pub mod ssh_proxy;
pub mod start;
pub mod stop;
mod trust;
pub mod tunnel;
pub mod versions;
mod way;

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::{
    env::Environment,
    failure::{Failure, Kind},
    ui::{Console, Level, terminal},
};

/// Develops for container-based devices: finds them, pushes projects to them, follows their logs.
#[derive(Debug, Parser)]
#[command(
    name = "os",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    infer_subcommands = false
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 project, 4 device, 5 build, 6 deployment, 130 interrupted; `os ssh` and `os exec`: that of what they ran, 255 when they could not run it.\n\n\
        Variables: OSCLI_DEVICE, the device that is meant when none is named; OSCLI_API_KEY, its API key where it wants one; OSCLI_TOKEN, a token of its fleet's cloud, OSCLI_CLOUD, the domain of that, and OSCLI_CLOUD_CA, the certificate of the authority of a cloud of one's own, by which a device that is not in the local network is reached; SSL_CERT_FILE and SSL_CERT_DIR, the authorities that are trusted in the place of the system's, and NODE_EXTRA_CA_CERTS, further ones; BALENARC_BALENA_URL and BALENARC_DATA_DIRECTORY, the cloud of balena-cli and the folder of its token; OSCLI_SSH_OLD, 1 allows SSH servers algorithms that are not safe any more; OSCLI_SSH_KEEP, 0 keeps no SSH connection for the commands of the next minute; SSH_AUTH_SOCK, the agent of SSH keys; OSCLI_WIFI_KEY, OSCLI_CELLULAR_PASSWORD and OSCLI_CELLULAR_PIN, what opens the networks that an image is configured for; OSCLI_CACHE_LIMIT, how much images that were downloaded may take; http_proxy, https_proxy, no_proxy, the way that these take; TMPDIR, where packed images are unpacked as far as they are read; OSCLI_AGENT, the os-agent of simulated devices; \
        DOCKER_HOST, their engine; NO_COLOR and CLICOLOR_FORCE, colours; XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME, \
        XDG_RUNTIME_DIR, where files are kept."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, clap::Args)]
struct Global {
    /// Print data as JSON, one object a line.
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// Say only what went wrong.
    #[arg(
        long,
        short,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    quiet: bool,
    /// Say how things are done, too.
    #[arg(long, short, global = true, help_heading = "Global options")]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Scan(scan::Args),
    Push(Box<push::Args>),
    Logs(logs::Args),
    Ps(ps::Args),
    Restart(restart::Args),
    Start(start::Args),
    Stop(stop::Args),
    Purge(purge::Args),
    Info(info::Args),
    Local(local::Args),
    Ssh(ssh::Args),
    Exec(exec::Args),
    Cp(cp::Args),
    Tunnel(tunnel::Args),
    SshConfig(ssh_config::Args),
    SshForget(ssh_forget::Args),
    DockerContext(docker_context::Args),
    #[command(hide = true)]
    DockerCarrier(docker_carrier::Args),
    #[command(hide = true)]
    SshKeeper(ssh_keeper::Args),
    #[command(hide = true)]
    SshName(ssh_name::Args),
    #[command(hide = true)]
    SshProxy(ssh_proxy::Args),
    Versions(versions::Args),
    Download(Box<download::Args>),
    Cache(cache::Args),
    Image(image::Args),
    Config(config::Args),
    Configure(Box<configure::Args>),
    Flash(flash::Args),
    Boot(boot::Args),
    Preload(Box<preload::Args>),
    Simulate(simulate::Args),
    New(new::Args),
    Completions(completions::Args),
}

/// What every verb is given.
#[derive(Debug)]
pub struct Context {
    /// The environment as it was at the start.
    pub environment: Environment,
    /// Where output goes.
    pub console: Console,
    /// Cancelled by the first interrupt; the verb then cleans up and returns [`Failure::interrupted`].
    pub interrupt: CancellationToken,
    /// The second interrupt, where the verb awaits it; else that ends the process.
    pub insisted: interrupts::Insisted,
}

/// Parses the command line, runs the verb, and says how it ended.
#[must_use]
pub fn main(environment: Environment) -> ExitCode {
    if let Some(answer) = completions::answer(&environment) {
        return completed(&environment, answer);
    }
    let cli = match Cli::try_parse_from(&environment.args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let level = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Level::Quiet,
        (_, true) => Level::Verbose,
        _ => Level::Normal,
    };
    let console = Console::new(&environment, level, cli.global.json);
    let context = Context {
        environment,
        console,
        interrupt: CancellationToken::new(),
        insisted: interrupts::Insisted::default(),
    };
    match run(&context, cli.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.console.failure(&failure);
            failure.exit_code().into()
        }
    }
}

/// Hands a completion script its candidates. Failures stay quiet: a person is typing.
fn completed(environment: &Environment, answer: io::Result<String>) -> ExitCode {
    let console = Console::new(environment, Level::Quiet, false);
    match answer {
        Ok(candidates) if candidates.is_empty() => ExitCode::SUCCESS,
        Ok(candidates) if console.data(candidates.trim_end()).is_ok() => ExitCode::SUCCESS,
        _ => Kind::Other.into(),
    }
}

/// Help and version go to stdout, complaints to stderr, as clap decides.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe behind `os --help` is no reason to complain.
    drop(error.print());
    if error.use_stderr() {
        Kind::Usage.into()
    } else {
        ExitCode::SUCCESS
    }
}

fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let (interrupt, insisted) = (context.interrupt.clone(), context.insisted.clone());
        let watcher = tokio::spawn(interrupts::watch(interrupt, insisted));
        let result = Box::pin(dispatch(context, verb)).await;
        watcher.abort();
        result
    });
    // A thread that still reads a file or a socket must not hold up the end.
    runtime.shutdown_background();
    // It may be one that asked a person, who has ended it.
    terminal::restore();
    result
}

async fn dispatch(context: &Context, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Push(args) => Box::pin(push::run(context, *args)).await,
        Verb::Logs(args) => logs::run(context, args).await,
        Verb::Ps(args) => ps::run(context, args).await,
        Verb::Restart(args) => restart::run(context, args).await,
        Verb::Start(args) => start::run(context, args).await,
        Verb::Stop(args) => stop::run(context, args).await,
        Verb::Purge(args) => purge::run(context, args).await,
        Verb::Info(args) => info::run(context, args).await,
        Verb::Local(args) => local::run(context, args).await,
        Verb::Ssh(args) => ssh::run(context, args).await,
        Verb::Exec(args) => exec::run(context, args).await,
        Verb::Cp(args) => Box::pin(cp::run(context, args)).await,
        Verb::Tunnel(args) => tunnel::run(context, args).await,
        Verb::Scan(args) => scan::run(context, &args).await,
        Verb::SshConfig(args) => ssh_config::run(context, &args),
        Verb::SshForget(args) => ssh_forget::run(context, &args),
        Verb::DockerContext(args) => Box::pin(docker_context::run(context, args)).await,
        Verb::DockerCarrier(args) => docker_carrier::run(context, args).await,
        Verb::SshKeeper(args) => ssh_keeper::run(context, args).await,
        Verb::SshName(args) => ssh_name::run(context, args).await,
        Verb::SshProxy(args) => ssh_proxy::run(context, args).await,
        Verb::Versions(args) => versions::run(context, args).await,
        Verb::Download(args) => download::run(context, *args).await,
        Verb::Cache(args) => cache::run(context, &args),
        Verb::Image(args) => image::run(context, args).await,
        Verb::Config(args) => config::run(context, args).await,
        Verb::Configure(args) => configure::run(context, *args).await,
        Verb::Flash(args) => Box::pin(flash::run(context, args)).await,
        Verb::Boot(args) => Box::pin(boot::run(context, args)).await,
        Verb::Preload(args) => Box::pin(preload::run(context, *args)).await,
        Verb::Simulate(args) => simulate::run(context, args).await,
        Verb::New(args) => new::run(context, &args),
        Verb::Completions(args) => completions::run(context, &args),
    }
}
