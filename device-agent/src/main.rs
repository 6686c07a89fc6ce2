//! `os-agent`, the device companion.

use std::process::ExitCode;

use os_agent::settings::Logging;

fn main() -> ExitCode {
    os_agent::program(std::env::args_os(), &Logging::from_environment())
}
