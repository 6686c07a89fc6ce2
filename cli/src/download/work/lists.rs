//! The lists of checksums of a file in the web: beside its address, or beside where that leads.

use reqwest::header::{HeaderMap, HeaderValue, RANGE};

use super::{Event, Want};
use crate::download::{
    checksums::Checksum,
    link::Link,
    offered::{Beside, OfferedError, offered},
    web::Web,
};

/// What lists beside this address have for it, under the name that it has there. Where they have to be signed and are not there, those beside where the
/// address leads count, too; never of a file that is called otherwise there: who sends us on does not choose what was signed.
pub(super) async fn lists(
    web: &Web,
    link: &Link,
    want: &Want<'_>,
) -> Result<Vec<Checksum>, OfferedError> {
    let name = |link: &Link| link.file_name().unwrap_or_else(|| want.name.clone());
    let own = name(link);
    let found = offered(&Beside::Web(web, link), &own, want.keyring, &want.events).await;
    if !matches!(found, Err(OfferedError::Unsigned(_))) {
        return found;
    }
    // Its first byte: nothing more is wanted of it.
    let first = (RANGE, HeaderValue::from_static("bytes=0-0"));
    let by = web.get(link, &HeaderMap::from_iter([first])).await?.by;
    if by.identity() == link.identity() {
        return found;
    }
    if name(&by) != own {
        return Err(OfferedError::UnsignedElsewhere {
            file: own,
            to: by.to_string(),
        });
    }
    let beside = Beside::Web(web, &by);
    offered(&beside, &own, want.keyring, &want.events).await
}

/// What lists have, or nothing where nobody demands them and their server has trouble, is too slow, or breaks off.
pub(super) fn demanded(
    offers: Result<Vec<Checksum>, OfferedError>,
    want: &Want<'_>,
) -> Result<Vec<Checksum>, OfferedError> {
    match offers {
        Err(error @ OfferedError::Lacking { .. }) => {
            missed(&error, want);
            Ok(Vec::new())
        }
        offers => offers,
    }
}

/// Tells of lists that nobody demands, and that cannot be had.
pub(super) fn missed(error: &OfferedError, want: &Want<'_>) {
    let why = crate::cause::chain(error);
    let has_others = false;
    // Nobody may listen.
    drop(want.events.send(Event::NoLists { why, has_others }));
}
