//! What the system uses of its drives: mounts and swap, through all that is made of them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use fs_err as fs;

use super::{Node, Number, Roots, number, text};

/// How many layers of drives on drives (LVM on dm-crypt on md …) are looked through.
const LAYERS: usize = 16;

/// What for.
pub(super) enum Used {
    Mount(PathBuf),
    Swap,
}

/// What the system uses, each with the drive that it stands on.
pub(super) fn used(roots: &Roots, nodes: &[Node]) -> Vec<(String, Used)> {
    let mut found = Vec::new();
    let mounts = text(&roots.proc.join("self/mountinfo")).unwrap_or_default();
    for line in mounts.lines() {
        let Some((numbers, point, source)) = mount(line) else {
            continue;
        };
        // Some file systems have numbers of their own: those are found by what they were mounted from.
        let name = named(nodes, |_, number| number == numbers).or_else(|| node(roots, &source));
        for owner in owners(nodes, name) {
            found.push((owner, Used::Mount(PathBuf::from(&point))));
        }
    }
    let swaps = text(&roots.proc.join("swaps")).unwrap_or_default();
    for line in swaps.lines().skip(1) {
        let path = line.split_whitespace().next().unwrap_or_default();
        for owner in owners(nodes, node(roots, &unescaped(path))) {
            found.push((owner, Used::Swap));
        }
    }
    found
}

/// Number, place and source of a line of `mountinfo`, see proc(5).
fn mount(line: &str) -> Option<(Number, String, String)> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let numbers = number(fields.nth(2)?)?;
    let point = unescaped(fields.nth(1)?);
    let source = unescaped(after.split(' ').nth(1)?);
    Some((numbers, point, source))
}

/// What stands for spaces and the like there: `\040`.
pub(super) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(*first));
        rest = behind
            .get(if code.is_some() { 3 } else { 0 }..)
            .unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The name of a node below `/dev`, links followed.
fn node(roots: &Roots, path: &str) -> Option<String> {
    let below = Path::new(path).strip_prefix("/dev").ok()?;
    let path = roots.dev.join(below);
    let path = fs::canonicalize(&path).unwrap_or(path);
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// A drive or a partition of which something is so.
fn named(nodes: &[Node], is: impl Fn(&str, Number) -> bool) -> Option<String> {
    nodes.iter().find_map(|node| {
        let parts = node.drive.partitions.iter();
        let mut all = parts
            .map(|part| (&part.name, part.number))
            .chain([(&node.drive.name, node.drive.number)]);
        all.find(|(name, number)| is(name, *number))
            .map(|(name, _)| name.clone())
    })
}

/// The drives that a drive or partition stands on, and itself.
fn owners(nodes: &[Node], name: Option<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut names: Vec<String> = name.into_iter().collect();
    for _ in 0..LAYERS {
        let mut below = Vec::new();
        for name in names {
            let node = nodes.iter().find(|node| {
                let mut parts = node.drive.partitions.iter();
                node.drive.name == name || parts.any(|part| part.name == name)
            });
            if let Some(node) = node
                && found.insert(node.drive.name.clone())
            {
                below.extend(node.slaves.iter().cloned());
            }
        }
        names = below;
    }
    found
}
