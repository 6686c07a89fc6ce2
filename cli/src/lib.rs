//! The workstation: turns a folder into a target state and sends it to a device.
//!
//! A module may use only modules below its line:
//!
//! ```text
//!  L5  main.rs            a doorway: capture environment → parse → run → exit code
//!  L4  commands/          one file per verb: Args (its doc comments are the help) + async fn run
//!  L3  ui/   failure.rs   all that a person sees: events → lines, bars, JSON; errors → text, hint, exit code
//!  L2  boot/  deploy/  copy/  simulate/  tunnel/  provision/  download/  flash/  preload/  operations over several adapters; emit typed events; know no terminal
//!  L1  discovery/  agent/  engine/  cloud/  image/  adapters: one outside thing each; know no sibling; agent/, engine/ and cloud/ speak over transport/
//!  L0  project/  templates/  env.rs  cause.rs  child.rs  values: parse and validate; no network
//! ```

pub mod agent;
pub mod boot;
mod cause;
mod child;
pub mod cloud;
pub mod commands;
pub mod copy;
pub mod deploy;
pub mod discovery;
pub mod download;
pub mod engine;
pub mod env;
pub mod failure;
pub mod flash;
#[doc(hidden)]
pub mod fuzz;
pub mod image;
pub mod preload;
pub mod project;
pub mod provision;
pub mod simulate;
pub mod templates;
pub mod transport;
pub mod tunnel;
pub mod ui;
