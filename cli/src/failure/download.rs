//! Images that are not had.

use std::{io, path::Path};

use super::{Failure, Kind, image::archived};
use crate::download::{
    DownloadError,
    fetch::FetchError,
    link::LinkError,
    offered::OfferedError,
    output::{OutputError, STDOUT, unpacks_elsewhere},
    web::WebError,
};
use crate::image::container::ContainerError;

const AUTHORITY: &str =
    "for a server of your own, OSCLI_CLOUD_CA names the file of its authority's certificate";
const CLOCK: &str = "is this machine's clock right? If it is, those who run the server have to renew its certificate; nothing was sent to it";
/// Of what is right, and is not unpacked.
const KEPT: &str = "it is kept as it came: --compressed writes it so";
const GOES_ON: &str = "the same command goes on from there";

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let failure = Self::from_error(Kind::Usage, &error);
        match error {
            LinkError::Invalid(_) => failure.hint("it is as in https://example.org/os.img.xz"),
            LinkError::Nowhere(_) => failure,
            LinkError::Unsafe { .. } => {
                failure.hint("what came from there could be anybody's: nothing was fetched")
            }
        }
    }
}

impl From<WebError> for Failure {
    fn from(error: WebError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        hinted(failure, &error)
    }
}

fn hinted(failure: Failure, error: &WebError) -> Failure {
    match error {
        WebError::Untrusted {
            is_of_time: true, ..
        } => failure.hint(CLOCK),
        WebError::Untrusted { .. } => failure.hint(AUTHORITY),
        WebError::Cut {
            is_connected: false,
            ..
        } => failure.hint("does this machine reach it? https_proxy names a proxy"),
        WebError::Cut { .. } => failure.hint(GOES_ON),
        WebError::Own(_)
        | WebError::Link(_)
        | WebError::Circle(_)
        | WebError::Coded(_)
        | WebError::TooLong(_) => failure,
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        let failure = Self::from_error(Kind::Other, &error);
        match &error {
            DownloadError::Interrupted => Self::interrupted().hint(GOES_ON),
            DownloadError::Web(error) => hinted(failure, error),
            DownloadError::Offered(OfferedError::Web(error)) => unlisted(failure, error),
            DownloadError::Fetch { source, .. } => unfetched(failure, source),
            DownloadError::Offered(OfferedError::Signature(
                crate::download::SignatureError::NoProgram,
            )) => failure.hint("Debian: apt install gpgv"),
            DownloadError::Offered(OfferedError::Unsigned(_)) => {
                failure.hint("without --keyring, checksums are believed as the server offers them")
            }
            DownloadError::Offered(OfferedError::UnsignedElsewhere { .. }) => failure.hint(
                "if that is the file that is meant, `os download` that address: its name is what has to be signed",
            ),
            DownloadError::Offered(_) => failure.hint("nothing was fetched"),
            DownloadError::Wrong {
                is_removed: true, ..
            } => failure.hint("it was removed from the cache; another server may have a right one"),
            DownloadError::Wrong { .. } => {
                failure.hint("it stays where it is; its source may have a right one")
            }
            DownloadError::NoEnd { .. } => failure.hint(
                "a file NAME.sha256 or SHA256SUMS beside it, or a server that tells its length, would do; so would an image that is packed (xz, zstd, gzip)",
            ),
            DownloadError::Empty(_) => failure.hint("is it the file that was meant?"),
            DownloadError::Own(OutputError::Container(ContainerError::Archive { fault, .. }))
                if !fault.is_damage() =>
            {
                archived(failure, fault)
            }
            DownloadError::Own(OutputError::Unlike { .. }) => {
                failure.hint("it stays where it is; --compressed writes it as it is, and a checksum beside it would tell that it is right")
            }
            DownloadError::Own(error) if error.is_damage() => {
                failure.hint("it stays where it is; its source may have a right one")
            }
            DownloadError::Output(error) | DownloadError::Own(error) => unwritten(failure, error),
            DownloadError::File(error) => full(failure, error),
        }
    }
}

/// Lists of checksums beside it cannot be asked for.
fn unlisted(failure: Failure, error: &WebError) -> Failure {
    match error {
        WebError::Own(_)
        | WebError::Untrusted { .. }
        | WebError::Cut {
            is_connected: false,
            ..
        } => hinted(failure, error),
        // Where nobody demands them they are done without.
        WebError::Cut { .. } => failure.hint(
            "--keyring demands a list of checksums that is signed, and its server has trouble giving one: try again later",
        ),
        _ => failure.hint("it is a list of checksums: --no-checksums does not look for any"),
    }
}

fn unfetched(failure: Failure, error: &FetchError) -> Failure {
    match error {
        FetchError::Web(error) => hinted(failure, error),
        FetchError::GaveUp(_) => failure.hint(GOES_ON),
        FetchError::Refused {
            status: 401 | 403, ..
        } => failure.hint(
            "for a device type of a cloud a token may do: OSCLI_TOKEN, or --token-file FILE; for an address its own: https://USER:PASSWORD@HOST/…",
        ),
        FetchError::Refused { status: 404, .. } => failure
            .hint("is it called so? Not every cloud has images: the address of one does, too"),
        FetchError::TooLarge { .. } => failure.hint("--max-size lets it be larger"),
        FetchError::Shorter(_) => failure.hint(
            "its server, or something before it, says a wrong Content-Length: nothing was kept; another server may have a right one",
        ),
        FetchError::Unusable { .. } | FetchError::Empty(_) => failure
            .hint("is it the address of an image, and does this machine reach its server itself?"),
        FetchError::KeepsChanging(_) => {
            failure.hint("somebody writes it at this moment: try later")
        }
        FetchError::File(error) => full(failure, error),
        _ => failure,
    }
}

fn unwritten(failure: Failure, error: &OutputError) -> Failure {
    match error {
        OutputError::Unpack { source, .. } if unpacks_elsewhere(source) => {
            failure.hint(KEPT)
        }
        OutputError::Container(ContainerError::Archive { fault, .. }) if !fault.is_damage() => {
            archived(failure.hint(KEPT), fault)
        }
        OutputError::Unlike { .. } => failure.hint(
            "it may be something else, or its start may be damaged: it is not kept; --compressed writes it as it comes, and a checksum beside it would tell that it is right",
        ),
        OutputError::Unpack { .. } | OutputError::Container(_) if !error.is_damage() => failure,
        OutputError::Unpack { .. } | OutputError::Container(_) => failure
            .hint("it is damaged at its server, or was on the way, or is no image: it is not kept"),
        OutputError::TooLarge { .. } => failure.hint("--max-size lets it be larger"),
        OutputError::Exists(_) => {
            Failure::new(Kind::Usage, failure.message()).hint("--force replaces it")
        }
        OutputError::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
            Failure::new(Kind::BrokenPipe, failure.message())
        }
        OutputError::Write { path, .. } if path == Path::new(STDOUT) => failure,
        OutputError::Write { source, .. } => full(failure, source),
        OutputError::Interrupted => Failure::interrupted(),
    }
}

fn full(failure: Failure, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            failure.hint("`os cache clean` makes room; XDG_CACHE_HOME puts the cache elsewhere")
        }
        _ => failure,
    }
}
