//! The program: a command line → one command → an exit code.
//!
//! In: the words of the command line and the environment as it was captured. Out: what the command does. Every command runs on one
//! thread.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::configure;
use crate::daemon::{self, DaemonError, chain};
use crate::grow;
use crate::health;
use crate::os_config::{self, Deed, Lines};
use crate::relay_udp;
use crate::settings::{
    self, Arguments, Command, LOG_VARIABLE, Logging, OsConfigArguments, OsConfigCommand,
};
use crate::store::disk::OwnDisk;

/// As which this program answers, too.
const OS_CONFIG: &str = "os-config";
/// Bytes of a fleet's configuration.
const MAX_INPUT: u64 = 1024 * 1024;

/// Does what a command line asks for.
#[must_use]
pub fn program(words: impl Iterator<Item = OsString>, logging: &Logging) -> ExitCode {
    let command = match command(words) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    start_logging(logging);
    let done = match command {
        Command::Run(arguments) => on_one_thread(daemon::start(&arguments)),
        Command::Configure(arguments) if arguments.watch => {
            on_one_thread(configure::watch(&arguments.places(), &OwnDisk))
        }
        Command::Configure(arguments) => {
            on_one_thread(configure::run(&arguments.places(), &OwnDisk))
        }
        Command::Grow { device } => on_one_thread(grow::run(&device)),
        Command::Health => on_one_thread(health::run(&settings::health_places(), &OwnDisk)),
        Command::RelayUdp { address, port } => {
            on_one_thread(relay_udp::run(SocketAddr::new(address, port)))
        }
        Command::Join { json } => return join(json),
        Command::Leave => return os_config(&Deed::Leave),
        Command::UpdateConfig => return os_config(&Deed::Update),
        Command::GenerateApiKey => return os_config(&Deed::GenerateApiKey),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// What a command line asks for, by the name by which this program was called.
fn command(words: impl Iterator<Item = OsString>) -> Result<Command, clap::Error> {
    let words: Vec<OsString> = words.collect();
    let name = words.first().map(Path::new).and_then(Path::file_name);
    if name != Some(OsStr::new(OS_CONFIG)) {
        return Arguments::try_parse_from(words).map(|arguments| arguments.command);
    }
    let arguments = OsConfigArguments::try_parse_from(words)?;
    Ok(match arguments.command {
        OsConfigCommand::Join { json } => Command::Join { json: Some(json) },
        OsConfigCommand::Leave => Command::Leave,
        OsConfigCommand::Update => Command::UpdateConfig,
        OsConfigCommand::GenerateApiKey => Command::GenerateApiKey,
    })
}

fn join(json: Option<String>) -> ExitCode {
    if let Some(json) = json.filter(|json| json != "-") {
        return os_config(&Deed::Join(json));
    }
    let mut json = String::new();
    let mut input = io::stdin().lock().take(MAX_INPUT);
    match input.read_to_string(&mut json) {
        Ok(_) => os_config(&Deed::Join(json)),
        Err(error) => {
            tracing::error!("standard input cannot be read: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says what it does, and what fails, on standard output: so the reference does, and so scripts read it.
fn os_config(deed: &Deed) -> ExitCode {
    let mut out = io::stdout();
    let mut lines = Lines::new(&mut out);
    let places = settings::os_config_places();
    let Err(error) = on_one_thread(os_config::run(deed, &places, &mut lines)) else {
        return ExitCode::SUCCESS;
    };
    lines.say(format_args!("Error: {error}"));
    let mut below = error.source();
    while let Some(cause) = below {
        lines.say(format_args!("  caused by: {cause}"));
        below = cause.source();
    }
    ExitCode::FAILURE
}

type Done = Result<(), Box<dyn Error>>;

/// Runs a command to its end.
fn on_one_thread<E>(command: impl Future<Output = Result<(), E>>) -> Done
where
    E: Error + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // For file writes and look-ups only.
        .max_blocking_threads(4)
        .build()
        .map_err(|source| DaemonError::Io {
            what: "start the runtime",
            source,
        })?;
    let outcome = runtime.block_on(command);
    runtime.shutdown_background();
    Ok(outcome?)
}

fn start_logging(logging: &Logging) {
    let (filter, problem) = match EnvFilter::try_new(&logging.filter) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false);
    // Only a second start in one process can fail, and then the first one's logging stands.
    if logging.timestamps {
        drop(lines.try_init());
    } else {
        drop(lines.without_time().try_init());
    }
    if let Some(error) = problem {
        tracing::warn!("{LOG_VARIABLE} is not understood, and `info` stands: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<Command, clap::Error> {
        command(words.iter().map(OsString::from))
    }

    #[test]
    fn the_program_is_os_config_where_it_is_called_so() {
        for words in [
            ["/usr/bin/os-config", "join", "{}"],
            ["os-agent", "join", "{}"],
        ] {
            let Ok(Command::Join { json }) = asked(&words) else {
                panic!("{words:?}");
            };
            assert_eq!(json.as_deref(), Some("{}"));
        }
        let version = asked(&["os-config", "--version"]).unwrap_err();
        assert_eq!(version.exit_code(), 0);
        assert!(version.to_string().starts_with("os-config "), "{version}");
        let update = asked(&["os-config", "update"]);
        assert!(matches!(update, Ok(Command::UpdateConfig)));
        let leave = asked(&["os-agent", "leave"]);
        assert!(matches!(leave, Ok(Command::Leave)));
        // Where other processes do not see the keys in it.
        let join = asked(&["os-agent", "join"]);
        assert!(matches!(join, Ok(Command::Join { json: None })));
        for words in [
            &["os-config"][..],
            &["os-config", "run"],
            &["os-config", "join"],
        ] {
            let error = asked(words).unwrap_err();
            assert_ne!(error.exit_code(), 0, "{words:?}");
            assert!(error.to_string().contains("Usage: os-config"), "{error}");
        }
    }
}
