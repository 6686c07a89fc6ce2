//! An engine's runtime for machines on which nobody may have `CAP_SYS_RESOURCE`.
//!
//! Many sandboxes and build machines lack that capability, and an engine then refuses every privileged container. This
//! takes it out of what the engine asks for (`config.json` of the bundle, or the file of `--process`), then becomes runc.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for (file, pointer) in [
        (
            value_of(&arguments, ["--bundle", "-b"]).map(|bundle| bundle.join("config.json")),
            "/process/capabilities",
        ),
        (value_of(&arguments, ["--process", "-p"]), "/capabilities"),
    ] {
        if let Some(file) = file {
            remove_capability(&file, pointer);
        }
    }
    panic!("runc: {}", Command::new("runc").args(arguments).exec());
}

/// The value of an option that stands as `--option value` or `--option=value`.
fn value_of(arguments: &[String], names: [&str; 2]) -> Option<PathBuf> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if names.contains(&argument.as_str()) {
            return rest.next().map(PathBuf::from);
        }
        if let Some((name, value)) = argument.split_once('=')
            && names.contains(&name)
        {
            return Some(PathBuf::from(value));
        }
    }
    None
}

fn remove_capability(file: &PathBuf, pointer: &str) {
    let text = fs_err::read(file).expect("what the engine asks for");
    let mut wish: Value = serde_json::from_slice(&text).expect("what the engine asks for, as JSON");
    let sets = wish.pointer_mut(pointer).and_then(Value::as_object_mut);
    for set in sets
        .into_iter()
        .flat_map(|sets| sets.values_mut())
        .filter_map(Value::as_array_mut)
    {
        set.retain(|capability| capability != "CAP_SYS_RESOURCE");
    }
    fs_err::write(file, wish.to_string()).expect("to change what the engine asks for");
}
