//! The agent with a real engine.

mod bad_targets;
mod clients;
mod conformance;
mod crashes;
mod engine_faults;
mod logs;
mod recorded;
mod recreation;
mod reports;
mod simulated;
mod state_files;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
