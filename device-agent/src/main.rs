//! `os-agent`, the device companion.

use std::process::ExitCode;

use clap::Parser;
use os_agent::settings::{Arguments, Logging};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match os_agent::start(arguments, &Logging::from_environment()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", os_agent::chain(&error));
            ExitCode::FAILURE
        }
    }
}
