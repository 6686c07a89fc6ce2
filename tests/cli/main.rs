//! `os` alone: help, errors, outputs, exit codes.

mod block_maps;
mod boot;
mod completions;
mod config;
mod config_values;
mod configure;
mod configure_values;
mod disks;
mod download;
mod flash;
mod image_files;
mod images;
mod preload;
mod ssh_config;
mod surface;

use serde_json::Value;

/// The exit code of a call that says something wrong.
const USAGE: i32 = 2;

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
