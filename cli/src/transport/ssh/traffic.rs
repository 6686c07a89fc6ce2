//! Who needs a connection to move, and how much of what came over it waits on disk.
//!
//! A server is told of more room in a channel as soon as bytes of it arrive, taken or not. What nobody takes must therefore be put
//! somewhere, or the whole connection stands still. It may: as long as nobody else needs it, that is the back-pressure that a socket has.
//! But not for long, since a server that is not answered takes us for dead.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

/// Bytes of a channel that wait in memory, give or take a packet.
pub(super) const IN_MEMORY: usize = 4 << 20;
/// Bytes of all channels of a connection that wait on disk.
const ON_DISK: u64 = 1 << 30;
/// Pieces of a channel that wait on disk: one takes memory, however small it is.
const PIECES: usize = 1 << 14;

/// What all channels of a connection share.
#[derive(Debug)]
pub(super) struct Traffic {
    /// How many need the connection; changes also when there is room on disk again.
    users: watch::Sender<usize>,
    on_disk: AtomicU64,
    folder: PathBuf,
}

/// Somebody who needs the connection to move, for as long as this lives: a channel, a request, a write that waits.
#[derive(Debug)]
pub(super) struct User(Arc<Traffic>);

/// What of a channel waits, and beside whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Bytes in memory.
    pub(super) in_memory: usize,
    /// Pieces that come after these, on disk.
    pub(super) pieces: usize,
    /// Whether a file can be written.
    pub(super) has_disk: bool,
    /// Bytes of all channels on disk.
    pub(super) on_disk: u64,
    /// Who needs the connection, this channel included.
    pub(super) users: usize,
    /// Whether the server has waited for as long as it may.
    pub(super) has_waited: bool,
}

/// Where the next piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Memory,
    Disk,
    /// It is not taken, and the connection waits.
    None,
}

impl Load {
    pub(super) fn room(self) -> Room {
        if self.pieces == 0 && self.in_memory < IN_MEMORY {
            return Room::Memory;
        }
        let fits = self.has_disk && self.on_disk < ON_DISK && self.pieces < PIECES;
        if fits && (self.users > 1 || self.has_waited) {
            Room::Disk
        } else {
            Room::None
        }
    }
}

impl Traffic {
    /// `folder` is where files go whose names are never seen.
    pub(super) fn new(folder: &Path) -> Arc<Self> {
        Arc::new(Self {
            users: watch::Sender::new(0),
            on_disk: AtomicU64::new(0),
            folder: folder.to_owned(),
        })
    }

    /// Counts somebody who needs the connection.
    pub(super) fn enter(self: &Arc<Self>) -> User {
        self.users.send_modify(|users| *users += 1);
        User(Arc::clone(self))
    }

    /// Changes when a load may have got more room.
    pub(super) fn users(&self) -> watch::Receiver<usize> {
        self.users.subscribe()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn on_disk(&self) -> u64 {
        self.on_disk.load(Ordering::Relaxed)
    }

    pub(super) fn put_on_disk(&self, bytes: u64) {
        self.on_disk.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn taken_from_disk(&self, bytes: u64) {
        self.on_disk.fetch_sub(bytes, Ordering::Relaxed);
        self.users.send_modify(|_| ());
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.users.send_modify(|users| *users -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        in_memory: 0,
        pieces: 0,
        has_disk: true,
        on_disk: 0,
        users: 1,
        has_waited: false,
    };

    #[test]
    fn memory_comes_first_and_the_disk_only_when_others_would_wait() {
        let full = Load {
            in_memory: IN_MEMORY,
            ..LOAD
        };
        assert_eq!(LOAD.room(), Room::Memory);
        assert_eq!(full.room(), Room::None);
        assert_eq!(Load { users: 2, ..full }.room(), Room::Disk);
        let waited = Load {
            has_waited: true,
            ..full
        };
        assert_eq!(waited.room(), Room::Disk);
    }

    #[test]
    fn nothing_overtakes_what_lies_on_disk() {
        let behind = Load { pieces: 1, ..LOAD };
        assert_eq!(behind.room(), Room::None);
        assert_eq!(Load { users: 2, ..behind }.room(), Room::Disk);
    }

    #[test]
    fn the_disk_has_an_end() {
        let others = Load {
            in_memory: IN_MEMORY,
            users: 5,
            has_waited: true,
            ..LOAD
        };
        let full = [
            Load {
                on_disk: ON_DISK,
                ..others
            },
            Load {
                pieces: PIECES,
                ..others
            },
            Load {
                has_disk: false,
                ..others
            },
        ];
        assert_eq!(full.map(Load::room), [Room::None; 3]);
    }

    #[test]
    fn users_are_counted_as_long_as_they_are_there() {
        let traffic = Traffic::new(Path::new("/"));
        let users = traffic.users();
        let first = traffic.enter();
        let second = traffic.enter();
        assert_eq!(*users.borrow(), 2);
        drop((first, second));
        assert_eq!(*users.borrow(), 0);
    }
}
