//! What is added to a context or said about it, beyond what the walk found.

use std::path::{Path, PathBuf};

use super::{
    ContextRequest,
    error::{ContextError, unreadable},
    scope::{self, Scopes},
    walk::{self, Entry, Kind, Walked},
};
use crate::project::{Warning, dockerfile::Dockerfile};

/// Name of a Dockerfile that is not a file of the context; a number is added where the project has such a file.
const GENERATED: &str = ".os.Dockerfile";

/// The engine's own ignore file. By it the engine leaves out the Dockerfile and the ignore file itself after it has read them, so both
/// are sent even where they are ignored.
const IGNORE_FILE: &str = ".dockerignore";

/// Most names in one warning.
const NAMED: usize = 5;

/// Makes sure that the engine finds the Dockerfile, and gives its name in the tar.
///
/// A Dockerfile that is a file of the context stays where it is. Any other text gets a name that no file has, and a line in the
/// ignore file that is sent, so that `COPY . /` does not put it into the image.
pub(super) fn place_dockerfile(
    context: &Path,
    scopes: &Scopes,
    skipped: &[PathBuf],
    found: &Dockerfile,
    entries: &mut Vec<Entry>,
) -> Result<String, ContextError> {
    if scopes.own() {
        require(context, IGNORE_FILE.as_bytes(), entries)?;
    }
    let real =
        fs_err::canonicalize(&found.path).map_err(|error| unreadable(found.path.clone(), error))?;
    let sent = !found.changed && !skipped.iter().any(|skipped| real.starts_with(skipped));
    let inside = real.strip_prefix(context).ok().and_then(Path::to_str);
    if let Some(name) = inside.filter(|_| sent) {
        require(context, name.as_bytes(), entries)?;
        return Ok(name.to_owned());
    }
    let mut name = GENERATED.to_owned();
    let mut turn = 0_usize;
    while entries.iter().any(|entry| entry.path == name.as_bytes()) {
        turn += 1;
        name = format!("{GENERATED}.{turn}");
    }
    hide(context, &name, entries)?;
    entries.push(text(name.as_bytes(), found.text.clone().into_bytes()));
    Ok(name)
}

fn text(path: &[u8], text: Vec<u8>) -> Entry {
    Entry {
        path: path.to_vec(),
        kind: Kind::Text(text),
        mode: 0o644,
        modified: 0,
    }
}

/// Adds a file of the context that the rules left out, with the folders that it is in.
fn require(context: &Path, path: &[u8], entries: &mut Vec<Entry>) -> Result<(), ContextError> {
    let ends = path
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| byte == b'/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    for end in ends {
        let path = path.get(..end).unwrap_or_default();
        if entries.iter().all(|entry| entry.path != path) {
            entries.extend(walk::single(context, path)?);
        }
    }
    Ok(())
}

/// Adds a name to the ignore file that the engine gets. An ignore file that is sent only for this purpose hides itself as well.
fn hide(context: &Path, name: &str, entries: &mut Vec<Entry>) -> Result<(), ContextError> {
    let existing = entries
        .iter_mut()
        .find(|entry| entry.path == IGNORE_FILE.as_bytes());
    let Some(entry) = existing else {
        let lines = format!("{IGNORE_FILE}\n{name}\n");
        entries.push(text(IGNORE_FILE.as_bytes(), lines.into_bytes()));
        return Ok(());
    };
    let mut lines = scope::read(&context.join(IGNORE_FILE))?.unwrap_or_default();
    lines.extend_from_slice(format!("\n{name}\n").as_bytes());
    entry.kind = Kind::Text(lines);
    entry.mode = 0o644;
    Ok(())
}

/// What a person should know about what the walk found.
pub(super) fn warnings(
    request: &ContextRequest<'_>,
    folder: &Path,
    scopes: &Scopes,
    walked: &Walked,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |message: String| warnings.push(Warning { at: None, message });
    let root = fs_err::canonicalize(request.project_root);
    let root = root.as_deref().unwrap_or(request.project_root);
    let shown = |path: &Path| {
        let path = path.strip_prefix(root).unwrap_or(path);
        path.display().to_string()
    };
    for kind in ["FIFO", "socket", "device"] {
        let paths: Vec<_> = walked
            .special
            .iter()
            .filter(|(found, _)| *found == kind)
            .map(|(_, path)| shown(path))
            .collect();
        if let Some(names) = names(&paths) {
            warn(format!(
                "not sent, because an image cannot hold a {kind} of the workstation: {names}"
            ));
        }
    }
    let unused: Vec<_> = walked
        .unused_ignore_files
        .iter()
        .map(|path| shown(path))
        .collect();
    if let Some(names) = names(&unused) {
        warn(if request.multi_dockerignore {
            format!("not used, because its folder is no service's build context: {names}")
        } else {
            let file = scopes.file().map(shown).unwrap_or_default();
            format!(
                "not used, because only {file} counts (--multi-dockerignore uses each service's own): {names}"
            )
        });
    }
    if scopes.start(folder).1.is_some_and(|state| state.ignored) {
        let file = scopes.file().map(shown).unwrap_or_default();
        warn(format!(
            "{file} ignores the build context of service {}; only what it makes exceptions for is sent",
            request.service
        ));
    }
    warnings
}

/// The first few names, and how many more there are.
fn names(paths: &[String]) -> Option<String> {
    let named: Vec<_> = paths.iter().take(NAMED).map(String::as_str).collect();
    let more = paths.len().checked_sub(NAMED).filter(|&more| more > 0);
    let named = (!named.is_empty()).then(|| named.join(", "))?;
    Some(match more {
        Some(more) => format!("{named} and {more} more"),
        None => named,
    })
}
