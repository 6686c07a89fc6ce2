//! The testkit itself: machines, networks and engines are what they promise to be.

mod engines;
mod machines;
mod spares;
mod standins;

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
