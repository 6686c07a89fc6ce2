//! The agent with a real engine.

mod bad_targets;
mod clients;
mod conformance;
mod crashes;
mod engine_faults;
mod every_step;
mod every_step_out;
mod faults_at_rest;
mod faults_in_a_deploy;
mod fleet;
mod golden;
mod images;
mod keys;
mod log_client;
mod log_holes;
mod log_journal;
mod log_past;
mod log_places;
mod logs;
mod machine;
mod preload;
mod pulls;
mod purges;
mod recorded;
mod recreation;
mod reports;
mod requests;
mod simulated;
mod state_files;
mod system_journal;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
