//! The system tree as every builder gets it: `os-build/system/install.sh` into an empty folder. What it takes a booted
//! device to see is in `os-build/tests/`.

mod lists;
mod tree;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
