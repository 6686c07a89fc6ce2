//! The state file's text, by version. Every version that was ever written stays readable; see `tests/fixtures/state/`.
//!
//! ```json
//! {"version":1,"generation":7,"target":{"name":"local","config":{},"apps":{}}}
//! ```
//! Unknown keys are ignored, so that a later build of the same version may add some.

use std::io;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Target;

/// The version that is written.
const VERSION: u64 = 1;

/// What a state file says, in the newest terms.
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    pub(super) generation: u64,
    pub(super) target: Target,
}

/// Why a state file is not used.
#[derive(Debug, Error)]
pub(super) enum FormatError {
    #[error("it is damaged: {0}")]
    Damaged(serde_json::Error),
    #[error("it has format {0}, written by a newer agent; this one knows formats up to {VERSION}")]
    Newer(u64),
    #[error("it has the impossible format {0}")]
    Impossible(u64),
}

#[derive(Deserialize)]
struct Head {
    version: u64,
}

#[derive(Deserialize)]
struct Version1 {
    generation: u64,
    target: Target,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    generation: u64,
    target: &'a Target,
}

pub(super) fn decode(text: &[u8]) -> Result<Content, FormatError> {
    let head: Head = serde_json::from_slice(text).map_err(FormatError::Damaged)?;
    match head.version {
        1 => {
            let Version1 { generation, target } =
                serde_json::from_slice(text).map_err(FormatError::Damaged)?;
            Ok(Content { generation, target })
        }
        0 => Err(FormatError::Impossible(0)),
        newer => Err(FormatError::Newer(newer)),
    }
}

pub(super) fn encode(generation: u64, target: &Target) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(&Written {
        version: VERSION,
        generation,
        target,
    })?;
    text.push(b'\n');
    Ok(text)
}
