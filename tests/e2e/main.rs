//! `os`, agent and engine together, on real networks.

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
