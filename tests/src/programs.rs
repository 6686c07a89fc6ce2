//! Where the built programs are: beside the test executable, as cargo lays them out, or where `OS_TEST_PROGRAMS` says.

use std::path::PathBuf;

/// The program `name` of this workspace, built by `cargo build --workspace` into the profile that the tests run in.
///
/// `OS_TEST_PROGRAMS` names a folder that is looked into first: figures are measured on release builds by a program that
/// is none.
pub fn built(name: &str) -> PathBuf {
    if let Some(folder) = named("OS_TEST_PROGRAMS") {
        let program = folder.join(name);
        if program.is_file() {
            return program;
        }
    }
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

/// The path that a variable of the environment holds: how `tests/*/run` name what they have installed or built.
#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the products; tests are told by their scripts"
)]
pub fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}
