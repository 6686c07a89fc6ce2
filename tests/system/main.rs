//! The system of `os-build/`: its tree as every builder gets it, and booted on light devices.

mod access;
mod bad_input;
mod beside;
mod broken;
mod docker_context;
mod firewall;
mod fleet;
mod image;
mod keys;
mod lists;
mod logs;
mod modes;
mod network;
mod preload;
mod push;
mod resilience;
mod root;
mod simulate;
mod ssh;
mod tree;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
