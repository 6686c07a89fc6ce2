//! What comes over a channel, whoever has the connection.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::{
    inbox::{Event, Inbox},
    kept::Delivery,
};

/// The other side of a channel.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Of a connection of ours.
    Own(Inbox),
    /// Of one that is kept for us.
    Kept(Delivery),
}

impl Incoming {
    /// The next event; `None` when the connection has ended.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        match self {
            Self::Own(inbox) => inbox.poll_next(cx),
            Self::Kept(delivery) => delivery.poll_next(cx),
        }
    }

    /// The same, to be awaited. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}
