//! `os` alone: help, errors, outputs, exit codes.

mod boot;
mod completions;
mod config_values;
mod configure;
mod disks;
mod download;
mod flash;
mod flash_drives;
mod image_files;
mod images;
mod preload;
mod ssh_config;
mod surface;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
