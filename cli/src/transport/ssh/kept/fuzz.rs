//! A door for `tests/fuzz/`.

use bytes::BytesMut;

use super::{
    frames::Frame,
    messages::{Greeting, Notice, Wish, key, read},
};

/// What bytes between a command and a keeper become.
#[derive(Debug, Default)]
pub struct KeptFrames {
    /// How many frames they are.
    pub count: usize,
    /// How many of these mean something to either side.
    pub understood: usize,
    /// The frames as they would be sent.
    pub sent: Vec<u8>,
    /// What follows them.
    pub rest: Vec<u8>,
    /// Whether that can never become a frame.
    pub is_invalid: bool,
}

/// Reads frames, and the messages in them as both sides do.
#[must_use]
pub fn kept_frames(input: &[u8]) -> KeptFrames {
    let mut received = BytesMut::from(input);
    let mut sent = BytesMut::new();
    let mut all = KeptFrames::default();
    loop {
        match Frame::parse(&mut received) {
            Ok(Some(frame)) => {
                frame.encode(&mut sent);
                all.count += 1;
                all.understood += usize::from(is_understood(&frame));
            }
            Ok(None) => break,
            Err(_) => {
                all.is_invalid = true;
                break;
            }
        }
    }
    all.sent = sent.to_vec();
    all.rest = received.to_vec();
    all
}

fn is_understood(frame: &Frame) -> bool {
    let own = || Some(frame.clone());
    if let Ok(Notice::Judge { key: text, .. }) = read(own()) {
        return key(&text).is_ok();
    }
    read::<Greeting>(own()).is_ok_and(|greeting| greeting.hello().is_ok())
        || read::<Wish>(own()).is_ok()
        || read::<Notice>(own()).is_ok()
}
