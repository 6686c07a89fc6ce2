//! Where the built programs are: beside the test executable, as cargo lays them out.

use std::path::PathBuf;

/// The program `name` of this workspace, built by `cargo build --workspace` into the profile that the tests run in.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test executable");
    // target/debug/deps/<test>-<hash> -> target/debug/<name>
    let program = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a test executable lies in target/<profile>/deps")
        .join(name);
    assert!(
        program.is_file(),
        "`{}` is not built: run `cargo build --workspace` first, as tests/run does",
        program.display()
    );
    program
}
