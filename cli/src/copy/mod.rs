//! Copies files and folders between this machine and a device, or a container on it.
//!
//! In: what is copied ([`Place`]), a connection. Out: what was copied ([`Summary`]), and events while it happens. A copy that is cut is
//! begun anew by whoever asked for it: [`plan`] compares both sides, so what is there already is not sent again, and a part of a file is
//! gone on with once it is known to be one. Where things go is decided by the first attempt ([`Settled`]): the next one finds what that made.
//!
//! A device is asked in the words of a POSIX shell and of the tools that busybox has ([`script`]), so it needs no server for files. A
//! container is reached by its engine's archives, so it needs no shell; nothing is done in it by the paths that it has on the device,
//! whose links it may have made itself.
//!
//! Names come from the side that is copied from, and a device may send any: [`Beneath`] takes none that leads out, nothing is written
//! through a link ([`here`]), and what it sends is bounded. A file gets its name when all of it is there.

mod archive;
mod device;
mod error;
mod event;
mod here;
mod item;
mod listing;
mod pack;
mod pipe;
mod place;
mod plan;
mod script;
mod settled;
mod stage;

pub use archive::{ArchiveEntry, ArchiveReader, EntryKind};
pub use device::{Container, Printed, Way, download, name_of, print, upload, upload_stream};
pub use error::CopyError;
pub use event::{Event, Events, Summary};
pub use item::{Beneath, InvalidName, Item, Kind};
pub use listing::{Listing, Unreadable, found, listing};
pub use place::{InvalidPlace, Place, Remote};
pub use settled::Settled;
