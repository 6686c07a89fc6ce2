//! What a build says while it runs: newline-delimited JSON → events. Pure.
//!
//! The classic builder writes its words in pieces that need not end where a line ends; they are put together here.

use serde::Deserialize;

/// Bytes of one line of output; a program that draws without line ends must not fill this machine's memory.
const LONGEST_LINE: usize = 64 << 10;

/// Something that a build said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// An instruction begins.
    Step {
        /// Counted from 1.
        number: u32,
        /// How many there are.
        of: u32,
        /// The instruction.
        text: String,
    },
    /// The step's result was in the engine's cache.
    Cached,
    /// A line that a build step wrote, or that the builder says to people.
    Line(String),
    /// A line of the builder's own bookkeeping.
    Note(String),
    /// A layer of a base image is being fetched.
    Layer {
        /// The layer's short id.
        id: String,
        /// What is happening to it.
        status: String,
        /// Bytes so far and in all, where they are told.
        bytes: Option<(u64, u64)>,
    },
    /// The id of the image that was built.
    Image(String),
    /// The build failed.
    Failed(String),
}

/// Reads the output of one build, or of one pull.
#[derive(Debug, Default)]
pub struct Output {
    partial: String,
}

#[derive(Deserialize)]
struct Message {
    stream: Option<String>,
    status: Option<String>,
    id: Option<String>,
    #[serde(rename = "progressDetail")]
    progress: Option<Progress>,
    error: Option<String>,
    #[serde(rename = "errorDetail")]
    error_detail: Option<ErrorDetail>,
    aux: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Progress {
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    message: Option<String>,
}

impl Output {
    /// Reads one message; `None` if it is not one.
    pub fn message(&mut self, raw: &[u8]) -> Option<Vec<BuildEvent>> {
        let message: Message = serde_json::from_slice(raw).ok()?;
        let mut events = Vec::new();
        if let Some(text) = message.stream {
            self.text(&text, &mut events);
        }
        if let Some(status) = message.status {
            events.push(match message.id {
                Some(id) => BuildEvent::Layer {
                    id,
                    status,
                    bytes: message
                        .progress
                        .and_then(|progress| Some((progress.current?, progress.total?))),
                },
                None => BuildEvent::Line(status),
            });
        }
        if let Some(id) = message.aux.as_ref().and_then(image_id) {
            events.push(BuildEvent::Image(id.to_owned()));
        }
        let detail = message.error_detail.and_then(|detail| detail.message);
        if let Some(error) = detail.or(message.error) {
            self.flush(&mut events);
            events.push(BuildEvent::Failed(error));
        }
        Some(events)
    }

    /// What stands after the last line end.
    pub fn finish(&mut self) -> Vec<BuildEvent> {
        let mut events = Vec::new();
        self.flush(&mut events);
        events
    }

    fn text(&mut self, text: &str, events: &mut Vec<BuildEvent>) {
        for piece in text.split_inclusive('\n') {
            self.partial.push_str(piece.trim_end_matches('\n'));
            if piece.ends_with('\n') || self.partial.len() > LONGEST_LINE {
                self.flush(events);
            }
        }
        // The classic builder announces a step in a message of its own, and its line end in the next one.
        if step(&self.partial).is_some() {
            self.flush(events);
        }
    }

    fn flush(&mut self, events: &mut Vec<BuildEvent>) {
        let line = std::mem::take(&mut self.partial);
        // The classic builder colours what a step writes to standard error, and ends the colour in the next line.
        let line = line.trim_end();
        let line = line.strip_prefix("\u{1b}[0m").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        if let Some((number, of, text)) = step(line) {
            events.push(BuildEvent::Step {
                number,
                of,
                text: text.to_owned(),
            });
            return;
        }
        if line == " ---> Using cache" {
            events.push(BuildEvent::Cached);
        }
        if let Some(id) = line.strip_prefix("Successfully built ")
            && is_short_id(id)
        {
            events.push(BuildEvent::Image(id.to_owned()));
        }
        let line = line.to_owned();
        events.push(if is_bookkeeping(&line) {
            BuildEvent::Note(line)
        } else {
            BuildEvent::Line(line)
        });
    }
}

/// `Step 2/8 : COPY a b` → 2, 8, `COPY a b`.
fn step(line: &str) -> Option<(u32, u32, &str)> {
    let (counts, text) = line.strip_prefix("Step ")?.split_once(" : ")?;
    let (number, of) = counts.split_once('/')?;
    Some((number.parse().ok()?, of.parse().ok()?, text))
}

/// The short id of the image that a step has made, or found in the cache: ` ---> 0123456789ab`.
#[must_use]
pub fn made(note: &str) -> Option<&str> {
    note.strip_prefix(" ---> ").filter(|id| is_short_id(id))
}

fn is_bookkeeping(line: &str) -> bool {
    line == " --->"
        || [
            " ---> ",
            "Removing intermediate container ",
            "Successfully built ",
            "Successfully tagged ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
}

fn is_short_id(text: &str) -> bool {
    text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn image_id(aux: &serde_json::Value) -> Option<&str> {
    aux.get("ID")?
        .as_str()
        .filter(|id| id.starts_with("sha256:"))
}

#[cfg(test)]
mod tests;
