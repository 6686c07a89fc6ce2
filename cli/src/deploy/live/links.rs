//! Links in a container on the way to what is brought: an engine follows them, perhaps into a volume, where a build would not.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};

use super::decide::{Bring, Then};
use crate::{
    engine::{Engine, EngineError},
    project::context::Content,
};

/// The bit of a link in the modes of engines, which are those of Go's `os.FileMode`.
const LINK: u32 = 1 << 27;
/// Questions that are asked at once.
const AT_ONCE: usize = 8;

/// A link of the container at a place where something else is put, or on the way to a place.
///
/// # Errors
/// When the engine cannot be asked.
pub(super) async fn link_on_the_way(
    engine: &Engine,
    container: &str,
    bring: &Bring<'_>,
) -> Result<Option<String>, EngineError> {
    let paths: Vec<Vec<u8>> = asked(bring).into_iter().collect();
    let asked = paths.iter().map(async |path| {
        let stat = engine.archive_stat(container, path).await?;
        let is_link = stat.is_some_and(|stat| stat.mode & LINK != 0);
        Ok::<_, EngineError>(is_link.then(|| String::from_utf8_lossy(path).into_owned()))
    });
    let asked: Vec<_> = asked.collect();
    let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        if let Some(link) = answer? {
            return Ok(Some(link));
        }
    }
    Ok(None)
}

/// The absolute paths that must be no links: the folders on the way, and the places of what is none.
fn asked(bring: &Bring<'_>) -> BTreeSet<Vec<u8>> {
    let mut asked = BTreeSet::new();
    let again = bring.then.iter().flat_map(|then| match then {
        Then::Put(put) => put.as_slice(),
        Then::Run(_) => &[],
    });
    for (path, spot) in bring.put.iter().chain(again) {
        let path = [b"/", path.as_slice()].concat();
        above(&path, &mut asked);
        if !matches!(spot.item.content, Content::Link(_)) {
            asked.insert(path);
        }
    }
    for path in bring.remove.iter().chain(&bring.remove_folders) {
        above(path, &mut asked);
    }
    asked
}

/// The folders above an absolute path, but for the root.
fn above(path: &[u8], into: &mut BTreeSet<Vec<u8>>) {
    let slashes = path.iter().enumerate().skip(1);
    for (at, _) in slashes.filter(|(_, byte)| **byte == b'/') {
        into.insert(path.get(..at).unwrap_or_default().to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_path_is_asked_for() {
        let mut asked = BTreeSet::new();
        above(b"/usr/lib/x", &mut asked);
        let asked: Vec<_> = asked.into_iter().collect();
        assert_eq!(asked, [b"/usr".to_vec(), b"/usr/lib".to_vec()]);
    }
}
