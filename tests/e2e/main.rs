//! `os`, agent and engine together, on real networks.

mod bad_projects;
mod build_secrets;
mod discovery;
mod ignore;
mod install;
mod interruptions;
mod projects;
mod push;
mod reference_device;
mod secrets;
mod simulate;
mod simulated;
mod templates;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
