//! `os`, the workstation command: a doorway. Everything behind it takes its environment as a value.

use std::process::ExitCode;

fn main() -> ExitCode {
    os_cli::commands::main(os_cli::env::Environment::capture())
}
