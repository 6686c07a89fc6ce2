//! The lists of checksums of a file in the web: beside its address, or beside where that leads.

use super::Want;
use crate::download::{
    checksums::Checksum,
    link::Link,
    offered::{Beside, OfferedError, offered},
    web::Web,
};

/// What lists beside this address have for it, under the name that it has there.
pub(super) async fn lists(
    web: &Web,
    link: &Link,
    want: &Want<'_>,
) -> Result<Vec<Checksum>, OfferedError> {
    let name = link.file_name().unwrap_or_else(|| want.name.clone());
    offered(&Beside::Web(web, link), &name, want.keyring, &want.events).await
}
