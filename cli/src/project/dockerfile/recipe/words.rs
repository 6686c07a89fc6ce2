//! Variables and paths of instructions.

use std::collections::BTreeMap;

use crate::project::dockerfile::facts::substitute;

/// Bytes of a value with its variables replaced: each can be made of several of the one before.
const LONGEST: usize = 16 << 10;

/// What is known of variables at a place of a Dockerfile.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    /// `ARG`s of this stage, which commands see.
    arguments: BTreeMap<String, String>,
    /// `ENV`s; they win over arguments.
    environment: BTreeMap<String, Option<String>>,
}

impl Variables {
    /// Text with its variables replaced; `None` if one of them is not known, or if it is quoted in a way that is not followed.
    pub(super) fn replace(&self, text: &str) -> Option<String> {
        if !text.contains('$') {
            return Some(text.to_owned());
        }
        if text.contains('\\') {
            return None;
        }
        let mut known = self.arguments.clone();
        for (name, value) in &self.environment {
            match value {
                Some(value) => drop(known.insert(name.clone(), value.clone())),
                None => drop(known.remove(name)),
            }
        }
        substitute(text, &known).filter(|text| text.len() <= LONGEST)
    }

    /// Takes note of `ARG NAME[=default] ...`.
    pub(super) fn argument(
        &mut self,
        text: &str,
        given: &BTreeMap<String, String>,
        global: &BTreeMap<String, String>,
    ) {
        let words = shlex::split(text).unwrap_or_default();
        for word in words {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, self.replace(default)),
                None => (word.as_str(), global.get(&word).cloned()),
            };
            let value = given.get(name).cloned().or(default);
            match value {
                Some(value) => drop(self.arguments.insert(name.to_owned(), value)),
                None => drop(self.arguments.remove(name)),
            }
        }
    }

    /// Takes note of `ENV NAME=VALUE ...` or `ENV NAME VALUE`.
    pub(super) fn environment(&mut self, text: &str) {
        let words = shlex::split(text).unwrap_or_default();
        let Some(first) = words.first() else {
            return;
        };
        if !first.contains('=') {
            let (name, value) = text
                .trim()
                .split_once(char::is_whitespace)
                .unwrap_or((text, ""));
            let value = self.replace(value.trim());
            self.environment.insert(name.to_owned(), value);
            return;
        }
        // All values are those from before this instruction.
        let before = self.clone();
        for word in &words {
            if let Some((name, value)) = word.split_once('=') {
                self.environment
                    .insert(name.to_owned(), before.replace(value));
            }
        }
    }

    /// Arguments end with their stage.
    pub(super) fn forget_arguments(&mut self) {
        self.arguments.clear();
    }

    /// The arguments that a command sees.
    pub(super) fn seen(&self) -> Vec<(String, String)> {
        self.arguments
            .iter()
            .filter(|(name, _)| !self.environment.contains_key(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// A path of the image, from the folder on where it is relative.
pub(super) fn absolute(folder: &str, path: &str) -> String {
    let start = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a place to copy to is a folder by the way it is written.
pub(super) fn names_a_folder(path: &str) -> bool {
    path.ends_with('/')
        || path == "."
        || path == ".."
        || path.ends_with("/.")
        || path.ends_with("/..")
}
