//! What can be known of a Dockerfile without building it.

use std::collections::BTreeMap;

use parse_dockerfile::{Instruction, ParseIter};

/// Facts about a Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Images that it starts from or copies from, each once, in order; without its own stages, without `scratch`, and without those
    /// whose name depends on something that is not known.
    pub images: Vec<String>,
    /// Line (from 1) and reason of what looks wrong. The engine has the last word: it may know instructions that are not known here.
    pub doubt: Option<(usize, String)>,
}

/// Reads a Dockerfile; `arguments` are the build arguments that the engine will get.
pub fn facts(text: &str, arguments: &BTreeMap<String, String>) -> Facts {
    let mut facts = Facts::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match parse_dockerfile::parse_iter(text) {
        Ok(instructions) => read(instructions, arguments, &mut facts),
        Err(error) => facts.doubt = Some(doubt(&error)),
    }
    facts
}

/// An empty file has no line to blame; the first one stands in.
fn doubt(error: &parse_dockerfile::Error) -> (usize, String) {
    (error.line().max(1), format!("{error:#}"))
}

fn read(instructions: ParseIter<'_>, arguments: &BTreeMap<String, String>, facts: &mut Facts) {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<String> = Vec::new();
    let mut images: Vec<String> = Vec::new();
    let mut count = 0_usize;
    let mut add = |image: Option<String>, stages: &[String]| {
        let Some(image) = image.filter(|image| !image.is_empty()) else {
            return;
        };
        let own = stages
            .iter()
            .any(|stage| stage.eq_ignore_ascii_case(&image));
        if !own && image != "scratch" && !images.contains(&image) {
            images.push(image);
        }
    };
    for instruction in instructions {
        match instruction {
            // Only arguments before the first stage can be a part of an image's name.
            Ok(Instruction::Arg(arg)) if count == 0 => {
                declare(&arg.arguments.value, arguments, &mut known);
            }
            Ok(Instruction::From(from)) => {
                add(substitute(&from.image.value, &known), &stages);
                count += 1;
                stages.extend(from.as_.map(|(_, name)| name.value.into_owned()));
            }
            Ok(Instruction::Copy(copy)) => {
                let from = copy.options.iter().find(|flag| flag.name.value == "from");
                let image = from
                    .and_then(|flag| flag.value.as_ref())
                    .map(|value| value.value.clone());
                // A number is a stage.
                if let Some(image) = image.filter(|image| image.parse::<usize>().is_err()) {
                    add(substitute(&image, &known), &stages);
                }
            }
            Ok(_) => {}
            Err(error) => {
                facts.doubt = Some(doubt(&error));
                break;
            }
        }
    }
    facts.images = images;
}

/// Takes note of `ARG NAME=default ...`.
fn declare(text: &str, arguments: &BTreeMap<String, String>, known: &mut BTreeMap<String, String>) {
    for word in text.split_whitespace() {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(default.trim_matches(['"', '\'']))),
            None => (word, None),
        };
        let value = match arguments.get(name) {
            Some(value) => Some(value.clone()),
            None => default.and_then(|default| substitute(default, known)),
        };
        if let Some(value) = value {
            known.insert(name.to_owned(), value);
        }
    }
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}`; `None` when something is not known.
pub(super) fn substitute(text: &str, known: &BTreeMap<String, String>) -> Option<String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(inner) = after.strip_prefix('{') {
            let (inner, tail) = inner.split_once('}')?;
            result.push_str(&braced(inner, known)?);
            rest = tail;
        } else {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            result.push_str(known.get(name)?);
            rest = tail;
        }
    }
    result.push_str(rest);
    Some(result)
}

fn braced(inner: &str, known: &BTreeMap<String, String>) -> Option<String> {
    if let Some((name, word)) = inner.split_once(":-") {
        return Some(
            known
                .get(name)
                .filter(|value| !value.is_empty())
                .map_or_else(|| word.to_owned(), Clone::clone),
        );
    }
    if let Some((name, word)) = inner.split_once(":+") {
        let set = known.get(name).is_some_and(|value| !value.is_empty());
        return Some(if set { word.to_owned() } else { String::new() });
    }
    known.get(inner).cloned()
}
