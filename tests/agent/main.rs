//! The agent with a real engine.

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
