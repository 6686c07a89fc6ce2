//! Owners of files, as instructions name them → numbers, by the container's own lists.

use std::io::Read as _;

use super::decide::{Bring, Then};
use crate::engine::{Engine, EngineError};

/// Most bytes of a list of users or groups.
const LONGEST: u64 = 1 << 20;

/// The lists of a container, as they are written.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) users: String,
    pub(super) groups: String,
}

impl Lists {
    /// Reads them, if what is brought names an owner. Nothing is run for it; what is not there is empty.
    pub(super) async fn read_for(
        engine: &Engine,
        container: &str,
        bring: &Bring<'_>,
    ) -> Result<Self, EngineError> {
        let again = bring.then.iter().flat_map(|then| match then {
            Then::Put(put) => put.as_slice(),
            Then::Run(_) => &[],
        });
        let mut all = bring.put.iter().chain(again);
        if all.all(|(_, spot)| spot.copy.owner.is_none()) {
            return Ok(Self::default());
        }
        Ok(Self {
            users: read(engine, container, "/etc/passwd").await?,
            groups: read(engine, container, "/etc/group").await?,
        })
    }

    /// The numbers of `user[:group]`, names or numbers; `None` if one of them is not known.
    pub(super) fn numbers(&self, owner: &str) -> Option<(u64, u64)> {
        let (user, group) = match owner.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (owner, None),
        };
        let number = |list: &str, name: &str| {
            let found = name.parse::<u32>().ok();
            found.map(u64::from).or_else(|| by_name(list, name))
        };
        let user = number(&self.users, user)?;
        // As the engine takes it: a user alone stands for a group of the same name or number.
        let group = match group {
            Some(group) => number(&self.groups, group)?,
            None => match owner.parse::<u32>() {
                Ok(same) => u64::from(same),
                Err(_) => by_name(&self.groups, owner)?,
            },
        };
        Some((user, group))
    }
}

/// The number in the third field of the line that begins with a name.
fn by_name(list: &str, name: &str) -> Option<u64> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse::<u32>().ok().map(u64::from))?
    })
}

async fn read(engine: &Engine, container: &str, path: &str) -> Result<String, EngineError> {
    if !engine.has_file(container, path).await? {
        return Ok(String::new());
    }
    let mut archive = engine.archive(container, path.as_bytes()).await?;
    // With what an archive has around a file.
    let bytes = archive.rest(limits()).await?;
    Ok(first_file(&bytes))
}

fn limits() -> crate::transport::Limits {
    crate::transport::Limits {
        body: usize::try_from(LONGEST + (64 << 10)).unwrap_or(usize::MAX),
        ..crate::transport::Limits::default()
    }
}

/// The text of the first file of an archive.
fn first_file(archive: &[u8]) -> String {
    let mut archive = tar::Archive::new(archive);
    let mut text = Vec::new();
    let entries = archive.entries().into_iter().flatten().flatten();
    for entry in entries {
        if entry.header().entry_type().is_file()
            && entry.take(LONGEST).read_to_end(&mut text).is_ok()
        {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_found_by_name_and_number() {
        let lists = Lists {
            users: "root:x:0:0::/:/bin/sh\nnode:x:1000:1001::/home:/bin/sh\nodd\n".to_owned(),
            groups: "root:x:0:\nnode:x:1001:\nstaff:x:50:node\n".to_owned(),
        };
        for (owner, expected) in [
            ("node:staff", Some((1000, 50))),
            ("node", Some((1000, 1001))),
            ("12", Some((12, 12))),
            ("12:staff", Some((12, 50))),
            ("node:7", Some((1000, 7))),
            ("nobody", None),
            ("odd", None),
            ("node:nobody", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(lists.numbers(owner), expected, "{owner}");
        }
    }

    #[test]
    fn an_archive_that_is_none_has_no_text() {
        assert_eq!(first_file(b"x"), "");
        assert_eq!(first_file(&[7; 2000]), "");
    }
}
