//! What a program says, in lines.

use std::collections::VecDeque;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
};

/// Lines that are kept for whoever wants to know how it ended.
const KEPT: usize = 20;

/// The last lines of many.
#[derive(Debug, Default)]
pub(super) struct Kept(VecDeque<Vec<u8>>);

impl Kept {
    pub(super) fn push(&mut self, line: Vec<u8>) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

impl From<Kept> for Vec<Vec<u8>> {
    fn from(kept: Kept) -> Self {
        kept.0.into()
    }
}

/// Divides what is said into lines, of which no more than `longest` bytes are taken.
pub(super) async fn divide(
    mut from: impl AsyncRead + Unpin,
    lines: mpsc::Sender<Vec<u8>>,
    longest: usize,
) {
    let mut buffer = vec![0; 8 << 10];
    let mut line = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        for byte in buffer.iter().take(count) {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut line);
                    drop(lines.send(line).await);
                }
                b'\r' => {}
                byte if line.len() < longest => line.push(*byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        drop(lines.send(line).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_and_bounded() {
        let (lines, mut said) = mpsc::channel(64);
        let text = [b"one\r\ntwo\n".as_slice(), &[b'x'; 3000], b"\nend"].concat();
        divide(text.as_slice(), lines, 1000).await;
        let mut all = Vec::new();
        while let Some(line) = said.recv().await {
            all.push(line);
        }
        let long = vec![b'x'; 1000];
        let expected = [b"one".to_vec(), b"two".to_vec(), long, b"end".to_vec()];
        assert_eq!(all, expected);
    }
}
