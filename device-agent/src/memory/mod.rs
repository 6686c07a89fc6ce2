//! What the agent must remember, since no engine tells it or none can be trusted with it: API keys that services were
//! given, which containers it stopped itself, which images it had for its fleet, which releases were reached, and what
//! it was asked for and has not done yet. Kept in the state directory, replaced whole.
//!
//! Losing it is not fatal: services keep the keys that their containers have (one that has none yet gets a new one), a
//! service that was stopped on purpose stays as it is, images that nobody needs stay, no release is told until the next
//! is reached, and a request has to be made again. So a file that cannot be read counts as empty and is reported.

mod keys;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keys::Kept;
use serde::{Deserialize, Serialize};

use tokio::sync::watch;

use crate::model::{ApiKeys, Asked};
use crate::store::disk::{Disk, OwnDisk, replace_at_need, settle_names};

/// Name in the state directory.
const FILE: &str = "memory.json";
/// Larger files are not ours.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Memory {
    disk: Arc<dyn Disk>,
    file: PathBuf,
    content: Content,
    /// For those who check keys.
    keys: watch::Sender<ApiKeys>,
    /// Whether the file lacks something of `content`.
    unwritten: bool,
    /// Engine names of the volumes that the file says are to go.
    written_discards: BTreeSet<String>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Content {
    /// By `<application id>/<service name>`.
    api_keys: BTreeMap<String, Kept>,
    /// The device's own key, once somebody asked for it.
    device_key: Option<Kept>,
    /// Engine container ids.
    stopped: BTreeSet<String>,
    /// Engine ids of images that the fleet's targets had, by reference.
    images: BTreeMap<String, String>,
    /// Commits of the releases that applications have reached.
    releases: BTreeMap<u32, String>,
    /// In which run of the machine a container was first seen that waits for the next, by engine id.
    seen_in: BTreeMap<String, String>,
    /// The target that `asked` was said about.
    generation: u64,
    asked: Asked,
}

impl Memory {
    /// Reads what is there. The second value says what was wrong with it.
    pub(crate) fn open(dir: &Path) -> (Self, Option<String>) {
        Self::open_on(Arc::new(OwnDisk), dir)
    }

    /// The same on another disk.
    pub(crate) fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> (Self, Option<String>) {
        let file = dir.join(FILE);
        let is_settled = settle_names(disk.as_ref(), dir);
        let (content, fault) = match disk.read(&file, MAX_BYTES) {
            Ok(Some(text)) => match serde_json::from_slice(&text) {
                Ok(content) => (content, None),
                Err(error) => (
                    Content::default(),
                    Some(format!(
                        "{} is damaged and was given up: {error}",
                        file.display()
                    )),
                ),
            },
            Ok(None) => (Content::default(), None),
            Err(error) => (Content::default(), Some(error.to_string())),
        };
        let memory = Self {
            disk,
            file,
            keys: watch::Sender::new(content.keys()),
            written_discards: discards(&content),
            content,
            unwritten: !is_settled,
        };
        (memory, fault)
    }

    /// What was asked for and is not done yet.
    pub(crate) fn asked(&self) -> &Asked {
        &self.content.asked
    }

    /// Keeps what is asked for now.
    pub(crate) fn keep_asked(&mut self, asked: Asked) -> io::Result<()> {
        let content = Content {
            asked,
            ..self.content.clone()
        };
        self.replace(content)
    }

    /// Keeps what is left of it when something was done. What is done is done, also when that cannot be written: it is
    /// not done again by this agent.
    pub(crate) fn settle_asked(&mut self, asked: Asked) -> io::Result<()> {
        let content = Content {
            asked,
            ..self.content.clone()
        };
        self.hold(content)
    }

    /// Volumes that were to go, need not any more, and would go once more after a crash, because the file still says so.
    pub(crate) fn unnoted_discards(&self) -> BTreeSet<String> {
        let present = discards(&self.content);
        self.written_discards
            .difference(&present)
            .cloned()
            .collect()
    }

    /// The locks of an application are not overridden any more.
    pub(crate) fn forget_force(&mut self, app_id: u32) -> io::Result<()> {
        let mut asked = self.content.asked.clone();
        asked.force.remove(&app_id);
        self.settle_asked(asked)
    }

    /// A new target says anew which services are to run, and which applications' locks are overridden for it. What was
    /// `given` in a generation that was begun already has said the latter, and is not asked again.
    pub(crate) fn begin_generation(
        &mut self,
        generation: u64,
        given: u64,
        forced: BTreeSet<u32>,
    ) -> io::Result<()> {
        let begun = self.content.generation;
        if begun == generation {
            return Ok(());
        }
        let mut content = self.content.clone();
        if begun != 0 {
            content.asked.stopped.clear();
        }
        // The numbers go back when a damaged state gave way to the one before it.
        let has_said = given <= begun && begun < generation;
        if !has_said {
            if begun != 0 {
                content.asked.force.clear();
            }
            content.asked.force.extend(forced);
        }
        content.generation = generation;
        // The number alone is not worth a write to the flash: without it nothing is lost but a stop on request.
        if content.asked == self.content.asked {
            self.content.generation = generation;
            return Ok(());
        }
        self.hold(content)
    }

    /// Engine ids of images that targets of the fleet had, by reference. Only these may be removed one day.
    pub(crate) fn images(&self) -> &BTreeMap<String, String> {
        &self.content.images
    }

    /// Remembers the images of a target of the fleet.
    pub(crate) fn note_images(&mut self, images: BTreeMap<String, String>) -> io::Result<()> {
        let mut content = self.content.clone();
        content.images.extend(images);
        self.replace(content)
    }

    /// An image is not on the engine any more. It is not, also when that cannot be written: it is not removed again and again.
    pub(crate) fn forget_image(&mut self, reference: &str) -> io::Result<()> {
        let mut content = self.content.clone();
        content.images.remove(reference);
        self.hold(content)
    }

    /// Commits of the releases that applications have reached.
    pub(crate) fn releases(&self) -> &BTreeMap<u32, String> {
        &self.content.releases
    }

    /// Remembers which releases are reached. They are so, also when that cannot be written.
    pub(crate) fn note_releases(&mut self, releases: BTreeMap<u32, String>) -> io::Result<()> {
        let content = Content {
            releases,
            ..self.content.clone()
        };
        self.hold(content)
    }

    pub(crate) fn has_stopped(&self, id: &str) -> bool {
        self.content.stopped.contains(id)
    }

    /// Remembers containers that the agent is about to stop: afterwards it may not be there to say so, and whoever finds them
    /// then takes them for ended by themselves. So none is stopped before this has succeeded.
    pub(crate) fn note_stopped<'a>(
        &mut self,
        ids: impl IntoIterator<Item = &'a String>,
    ) -> io::Result<()> {
        let mut content = self.content.clone();
        content.stopped.extend(ids.into_iter().cloned());
        self.replace(content)
    }

    /// A container was started, perhaps because that was asked for.
    pub(crate) fn note_started(&mut self, id: &str) -> io::Result<()> {
        let mut content = self.content.clone();
        content.asked.start.remove(id);
        content.stopped.remove(id);
        self.hold(content)
    }

    /// Which of these containers were first seen in the present run of the machine, `boot`: those that were not seen before
    /// are seen now. Others are forgotten. It survives the restart that they wait for.
    pub(crate) fn seen_since(
        &mut self,
        boot: &str,
        waiting: &BTreeSet<String>,
    ) -> io::Result<BTreeSet<String>> {
        let is_known = waiting
            .iter()
            .all(|id| self.content.seen_in.contains_key(id));
        let mut content = self.content.clone();
        content.seen_in.retain(|id, _| waiting.contains(id));
        for id in waiting {
            let seen = content.seen_in.entry(id.clone());
            seen.or_insert_with(|| boot.to_owned());
        }
        // What stands in the file already need not be written for them to wait, nor what is forgotten.
        if content.seen_in != self.content.seen_in {
            let kept = self.replace(content);
            if !is_known {
                kept?;
            }
        }
        let seen = self.content.seen_in.iter();
        let now = seen.filter(|(id, seen)| *seen == boot && waiting.contains(*id));
        Ok(now.map(|(id, _)| id.clone()).collect())
    }

    /// Forgets containers that do not exist any more. That is written with whatever is written next: what is remembered of
    /// a container that is gone does no harm.
    pub(crate) fn keep_stopped(&mut self, exists: impl Fn(&str) -> bool) {
        self.content.stopped.retain(|id| exists(id));
    }

    /// The same for what is so whether it can be written or not: it is written as soon as it can be.
    fn hold(&mut self, content: Content) -> io::Result<()> {
        let kept = self.replace(content.clone());
        if kept.is_err() {
            self.content = content;
            self.tell_keys();
        }
        kept
    }

    /// Writes only what has changed: flash wears out.
    fn replace(&mut self, content: Content) -> io::Result<()> {
        if content != self.content || self.unwritten {
            let text = serde_json::to_vec(&content)?;
            let written = replace_at_need(self.disk.as_ref(), &self.file, &text);
            // The file may have its new content although it could not be flushed: what counts is written again.
            self.unwritten |= written.is_err();
            written?;
            self.written_discards = discards(&content);
            self.content = content;
            self.unwritten = false;
            self.tell_keys();
        }
        Ok(())
    }
}

fn discards(content: &Content) -> BTreeSet<String> {
    content.asked.discard.keys().cloned().collect()
}
