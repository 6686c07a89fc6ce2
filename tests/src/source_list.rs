//! A test file that no main lists is never run; this finds it.

use std::path::Path;

/// Panics when a source file of the folder of `main` (the `file!()` of a test main) has no `mod` line in it.
pub fn assert_complete(main: &str) {
    // `file!()` is relative to the workspace.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let main = workspace.join(main);
    let listed = fs_err::read_to_string(&main).expect("the test main");
    let folder = main.parent().expect("the folder of the test main");
    for entry in fs_err::read_dir(folder)
        .expect("the folder of the test main")
        .flatten()
    {
        let path = entry.path();
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name");
        let is_module = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("mod.rs").is_file();
        if is_module && name != "main" {
            assert!(
                listed.lines().any(|line| line == format!("mod {name};")),
                "{} is never run: {} has no `mod {name};`",
                path.display(),
                main.display()
            );
        }
    }
}
