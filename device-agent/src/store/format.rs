//! The state file's text, by version. Every version that was ever written stays readable; see `tests/fixtures/state/`.
//!
//! ```json
//! {"version":2,"generation":7,"mode":"local","local":{"name":"local","config":{},"apps":{}},"local_given":6,"fleet":null,
//!  "session":null}
//! {"version":1,"generation":7,"target":{"name":"local","config":{},"apps":{}}}
//! ```
//! Unknown keys are ignored, so that a later build of the same version may add some.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Mode;
use crate::model::{App, Inventory, Target};

/// The version that is written.
const VERSION: u64 = 2;

/// What a state file says, in the newest terms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) generation: u64,
    /// Where targets come from on a device that belongs to a fleet.
    pub(super) mode: Mode,
    pub(super) local: Option<Arc<Target>>,
    /// The generation in which the local target was given.
    pub(super) local_given: u64,
    pub(super) fleet: Option<Arc<Target>>,
    /// What the engine had when the local session began that runs, or whose leftovers are not gone yet.
    pub(super) session: Option<Arc<Inventory>>,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            generation: 0,
            mode: Mode::Fleet,
            local: None,
            local_given: 0,
            fleet: None,
            session: None,
        }
    }
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
    target: Stored,
}

#[derive(Deserialize)]
struct Version2 {
    generation: u64,
    mode: Mode,
    local: Option<Stored>,
    /// Earlier agents did not write it.
    local_given: Option<u64>,
    fleet: Option<Stored>,
    session: Option<Inventory>,
}

/// A target as it was written.
#[derive(Deserialize)]
struct Stored {
    name: String,
    config: BTreeMap<String, String>,
    apps: BTreeMap<u32, App>,
    #[serde(default)]
    force: bool,
    /// Earlier agents wrote these here, and not with each application.
    #[serde(default)]
    discard_volumes: BTreeSet<String>,
}

impl Stored {
    fn understood(self) -> Arc<Target> {
        let mut target = Target {
            name: self.name,
            config: self.config,
            apps: self.apps,
            force: self.force,
        };
        if !self.discard_volumes.is_empty() {
            target.let_go(&self.discard_volumes);
        }
        Arc::new(target)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    generation: u64,
    mode: Mode,
    local: Option<&'a Target>,
    local_given: u64,
    fleet: Option<&'a Target>,
    session: Option<&'a Inventory>,
}

pub(super) fn decode(text: &[u8]) -> Result<Content, FormatError> {
    let head: Head = serde_json::from_slice(text).map_err(FormatError::Damaged)?;
    match head.version {
        1 => {
            let read: Version1 = serde_json::from_slice(text).map_err(FormatError::Damaged)?;
            Ok(Content {
                generation: read.generation,
                // Agents of this version knew no other.
                mode: Mode::Local,
                local: Some(read.target.understood()),
                local_given: read.generation,
                fleet: None,
                session: None,
            })
        }
        2 => {
            let read: Version2 = serde_json::from_slice(text).map_err(FormatError::Damaged)?;
            Ok(Content {
                generation: read.generation,
                mode: read.mode,
                local: read.local.map(Stored::understood),
                local_given: read.local_given.unwrap_or(read.generation),
                fleet: read.fleet.map(Stored::understood),
                session: read.session.map(Arc::new),
            })
        }
        0 => Err(FormatError::Impossible(0)),
        newer => Err(FormatError::Newer(newer)),
    }
}

pub(super) fn encode(content: &Content) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(&Written {
        version: VERSION,
        generation: content.generation,
        mode: content.mode,
        local: content.local.as_deref(),
        local_given: content.local_given,
        fleet: content.fleet.as_deref(),
        session: content.session.as_deref(),
    })?;
    text.push(b'\n');
    Ok(text)
}
