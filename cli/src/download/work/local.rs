//! A file of this machine.

use std::{io, path::Path};

use tokio::task::spawn_blocking;

use super::{DownloadError, Had, Lists, Want, interruptible, places, put, wanted};
use crate::download::{
    cache::sums_of,
    checksums::{Finished, Sums},
    offered::{Beside, offered},
};

/// It is checked by what lies beside it, and read once more as it is unpacked.
pub(super) async fn local(path: &Path, want: &Want<'_>) -> Result<Had, DownloadError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let beside = Beside::Folder(folder);
    let offers = if want.looks {
        let asking = offered(&beside, &want.name, want.keyring, &want.events);
        interruptible(want, asking).await??
    } else {
        Vec::new()
    };
    let (image, sums) = (path.to_owned(), Sums::new(&offers));
    let summing = spawn_blocking(move || -> io::Result<(Finished, u64)> {
        let file = fs_err::File::open(&image)?;
        let size = file.metadata()?.len();
        Ok((sums_of(file, sums)?, size))
    });
    let (sums, packed) = interruptible(want, summing)
        .await?
        .map_err(io::Error::other)??;
    if let Some(expected) = sums.wrong(&offers) {
        return Err(DownloadError::Wrong {
            name: want.name.clone(),
            expected: expected.clone(),
            found: sums.text(expected.algorithm),
            is_removed: false,
        });
    }
    if packed == 0 {
        return Err(DownloadError::Empty(want.name.clone()));
    }
    let mut wanted = wanted(want, path.to_owned(), None);
    wanted.is_checked = !offers.is_empty();
    let put = put(wanted, want).await;
    let bytes = put.map_err(|error| match error {
        DownloadError::Output(error) => DownloadError::Own(error),
        other => other,
    })?;
    Ok(Had {
        bytes,
        sha256: sums.sha256(),
        packed,
        checked: places(&offers),
        doubts: Vec::new(),
        lists: if want.looks {
            Lists::Asked
        } else {
            Lists::Unasked
        },
        is_cached: false,
    })
}
