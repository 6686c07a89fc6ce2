//! A request body that a blocking writer fills while the request is being sent, at the speed of the receiver.

use std::{
    error::Error,
    io::{self, Write},
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, spawn_blocking},
};

use crate::transport::{Body, Pieces};

/// Bytes that travel together.
const PIECE: usize = 256 << 10;

/// Pieces that may wait for the network.
const PIECES: usize = 4;

/// A body on its way.
pub(super) struct Upload<T> {
    /// The body, for the request.
    pub(super) body: Body,
    /// Bytes that were handed to the connection so far.
    pub(super) sent: watch::Receiver<u64>,
    /// How the writer ended. Joins soon after the body was dropped.
    pub(super) writer: JoinHandle<Result<T, Box<dyn Error + Send + Sync>>>,
}

/// Starts `write` in a thread of its own.
pub(super) fn start<T, W>(write: W) -> Upload<T>
where
    T: Send + 'static,
    W: FnOnce(&mut dyn Write) -> Result<T, Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel::<Result<Bytes, io::Error>>(PIECES);
    let (count, sent) = watch::channel(0_u64);
    let writer = spawn_blocking(move || {
        let mut pipe = Pieces::new(sender, PIECE, Ok);
        let result = write(&mut pipe).and_then(|written| {
            pipe.flush()?;
            Ok(written)
        });
        if result.is_err() {
            // Without this the receiver would take what it has for the whole context.
            let broken = io::Error::other("the build context could not be read");
            drop(pipe.sender.blocking_send(Err(broken)));
        }
        result
    });
    let pieces = stream::unfold((receiver, count), |(mut receiver, count)| async move {
        let piece = receiver.recv().await?;
        if let Ok(bytes) = &piece {
            let bytes = u64::try_from(bytes.len()).unwrap_or(0);
            count.send_modify(|sent| *sent = sent.saturating_add(bytes));
        }
        Some((piece.map(Frame::data), (receiver, count)))
    });
    Upload {
        body: StreamBody::new(pieces).boxed_unsync(),
        sent,
        writer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_arrives_in_order() {
        let content: Vec<u8> = (0..u32::try_from(PIECE).unwrap())
            .flat_map(u32::to_le_bytes)
            .collect();
        let expected = content.clone();
        let upload = start(move |out| Ok(out.write_all(&content)?));
        let body = upload.body.collect().await.unwrap().to_bytes();
        assert!(body == expected, "the body differs");
        assert_eq!(*upload.sent.borrow(), u64::try_from(body.len()).unwrap());
        upload.writer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_writer_that_fails_breaks_the_body() {
        let upload = start(|out| -> Result<(), _> {
            out.write_all(b"half")?;
            Err("the file vanished".into())
        });
        assert!(upload.body.collect().await.is_err());
        let error = upload.writer.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "the file vanished");
    }

    #[tokio::test]
    async fn a_writer_ends_when_nobody_reads() {
        let upload = start(|out| -> Result<(), _> {
            loop {
                out.write_all(&[0; 4096])?;
            }
        });
        drop(upload.body);
        assert!(upload.writer.await.unwrap().is_err());
    }
}
