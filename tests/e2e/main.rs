//! `os`, agent and engine together, on real networks.

mod bad_projects;
mod build_secrets;
mod discovery;
mod docker_context;
mod engine_faults;
mod ignore;
mod install;
mod interruptions;
mod leaks;
mod live;
mod log_resume;
mod lost_devices;
mod projects;
mod push;
mod reference_device;
mod secrets;
mod simulate;
mod simulated;
mod ssh;
mod ssh_config;
mod ssh_first;
mod templates;
mod unusual_files;
mod verbs;
mod which_device;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
