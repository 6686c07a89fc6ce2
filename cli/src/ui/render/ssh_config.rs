//! What `os ssh-config` says.

use std::{io, path::Path};

use serde_json::json;

use crate::ui::Console;

/// The file was written; `installed` is whether the line was put into the person's configuration just now, if that was asked for.
pub fn written(
    console: &Console,
    file: &Path,
    line: &str,
    installed: Option<bool>,
) -> io::Result<()> {
    if console.is_json() {
        return console
            .json(&json!({ "file": file.display().to_string(), "line": line, "installed": installed.is_some() }));
    }
    match installed {
        None => {
            console.data(line)?;
            console.hint(
                "put this line at the top of ~/.ssh/config, or let `os ssh-config --install` do it",
            );
        }
        Some(true) => console.say(&format!("put at the top of ~/.ssh/config: {line}")),
        Some(false) => console.say(&format!("~/.ssh/config has it already: {line}")),
    }
    if installed.is_some() {
        console.hint("ssh <device>.os; without the line in ~/.ssh/config all is as before");
    }
    Ok(())
}
