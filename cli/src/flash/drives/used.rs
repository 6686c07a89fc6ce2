//! What the system uses of its drives: mounts and swap, through all that is made of them.

use std::{
    collections::BTreeSet,
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use fs_err as fs;

use super::{Node, Number, Roots, number};

/// Bytes of what the system says of its mounts. What has more is an error: what is not known of may be the system's own.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// How many layers of drives on drives (LVM on dm-crypt on md …) are looked through.
const LAYERS: usize = 16;

/// What for.
pub(super) enum Used {
    Mount(PathBuf),
    Swap,
}

/// What the system uses, each with the drive that it stands on.
pub(super) fn used(roots: &Roots, nodes: &[Node]) -> io::Result<Vec<(String, Used)>> {
    let mut found = Vec::new();
    let mounts = all(&roots.proc.join("self/mountinfo"), MOST_BYTES)?;
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
    let swaps = match all(&roots.proc.join("swaps"), MOST_BYTES) {
        // Of a kernel that cannot swap.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    for line in swaps.lines().skip(1) {
        let path = line.split_whitespace().next().unwrap_or_default();
        for owner in owners(nodes, node(roots, &unescaped(path))) {
            found.push((owner, Used::Swap));
        }
    }
    Ok(found)
}

/// All of a file.
fn all(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    file.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|count| count <= most) {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let words = format!("{} has more than {most} bytes", path.display());
    Err(io::Error::other(words))
}

/// The drive or partition behind a loop device, by its name.
pub(super) fn over(roots: &Roots, nodes: &[Node], of: &Node) -> Option<String> {
    let backing = of.drive.backing.as_ref()?;
    let numbers = fs::metadata(backing).ok().and_then(|found| {
        let device = found.rdev();
        let is_drive = found.file_type().is_block_device();
        is_drive.then(|| (rustix::fs::major(device), rustix::fs::minor(device)))
    });
    let name = node(roots, &backing.display().to_string());
    let is_it = |known: &str, number| Some(number) == numbers || Some(known) == name.as_deref();
    named(nodes, is_it).filter(|name| *name != of.drive.name)
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
