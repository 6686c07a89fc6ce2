//! What `debugfs` is told: one command a line. No name in it comes from elsewhere without having been looked at.

use std::fs::File;

use super::tools::path_of;

/// Commands in their order.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<String>);

impl Script {
    /// Removes a file.
    pub(super) fn remove(&mut self, path: &str) {
        self.0.push(format!("rm {path}"));
    }

    /// Makes a folder.
    pub(super) fn make_folder(&mut self, path: &str) {
        self.0.push(format!("mkdir {path}"));
    }

    /// Goes into a folder: files are written into the present one.
    pub(super) fn enter(&mut self, path: &str) {
        self.0.push(format!("cd {path}"));
    }

    /// Writes a file of this name, which is root's alone.
    pub(super) fn write(&mut self, name: &str, from: &File) {
        self.0
            .push(format!("write {} {name}", path_of(from).display()));
        for (field, value) in [("mode", "0100600"), ("uid", "0"), ("gid", "0")] {
            self.0.push(format!("sif {name} {field} {value}"));
        }
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        let lines = self.0.iter().flat_map(|line| [line.as_str(), "\n"]);
        lines.collect()
    }
}
