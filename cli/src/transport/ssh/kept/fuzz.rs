//! A door for `tests/fuzz/`.

use super::{
    frames::Frame,
    messages::{Greeting, Notice, Wish, key, read},
};

/// What a frame that was received becomes, on either side; says whether it means anything to one of them.
#[must_use]
pub fn is_understood(frame: &Frame) -> bool {
    let own = || Some(frame.clone());
    if let Ok(Notice::Judge { key: text, .. }) = read(own()) {
        return key(&text).is_ok();
    }
    read::<Greeting>(own()).is_ok_and(|greeting| greeting.hello().is_ok())
        || read::<Wish>(own()).is_ok()
        || read::<Notice>(own()).is_ok()
}
