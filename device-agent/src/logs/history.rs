//! The last lines that the engine and the agent kept, in the order of their times.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::lines::Decoder;
use super::reader::{has_tty, line_of, supervised};
use super::source::Source;
use super::{Hub, Line};
use crate::engine::stream::{Lines, LogStream};
use crate::engine::{Connected, EngineError, QUICK};
use crate::model::Confinement;

/// Bytes of messages in one answer; the oldest give way.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a history has shown, so that the live stream need not show it again.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Time of the last line by container.
    until: HashMap<Arc<str>, i64>,
    /// Time of the agent's own last line.
    system: Option<i64>,
}

impl Shown {
    /// Whether a live line was in the history.
    pub(crate) fn contains(&self, line: &Line) -> bool {
        let until = match &line.container {
            Some(container) => self.until.get(container).copied(),
            None => self.system,
        };
        until.is_some_and(|until| line.nanos <= until)
    }

    fn note(&mut self, line: &Line) {
        match &line.container {
            Some(container) => {
                let until = self
                    .until
                    .entry(Arc::clone(container))
                    .or_insert(line.nanos);
                *until = line.nanos.max(*until);
            }
            None => self.system = Some(line.nanos.max(self.system.unwrap_or(line.nanos))),
        }
    }
}

/// The last `tail` lines of the services (`None`: the agent itself) that `wanted` picks. A container whose lines cannot
/// be read in time is left out and logged.
pub(crate) async fn read(
    connected: &Connected,
    confinement: Option<&Confinement>,
    hub: &Hub,
    tail: usize,
    wanted: impl Fn(Option<&str>) -> bool,
) -> (Vec<Arc<Line>>, Shown) {
    let mut shown = Shown::default();
    let mut lines = if wanted(None) {
        hub.system_lines()
    } else {
        Vec::new()
    };
    for line in &lines {
        shown.note(line);
    }
    let sources = match supervised(connected, confinement).await {
        Ok(sources) => sources,
        Err(error) => {
            tracing::warn!(%error, "containers could not be listed for their logs");
            Vec::new()
        }
    };
    for (source, _) in sources {
        if !wanted(Some(&source.service)) {
            continue;
        }
        let reading = tokio::time::timeout(QUICK, read_one(connected, &source, tail)).await;
        match reading.unwrap_or(Err(EngineError::Hanging(QUICK))) {
            Ok(found) => {
                for line in &found {
                    shown.note(line);
                }
                lines.extend(found.into_iter().map(Arc::new));
                // One container after the other, so that their number does not make the answer larger.
                lines = last(lines, tail);
            }
            Err(error) => {
                tracing::warn!(service = %source.service, %error, "kept lines could not be read");
            }
        }
    }
    (last(lines, tail), shown)
}

/// The last ones by time, at most `tail` and [`MAX_BYTES`].
fn last(mut lines: Vec<Arc<Line>>, tail: usize) -> Vec<Arc<Line>> {
    lines.sort_by_key(|line| line.nanos);
    let mut bytes = 0;
    let kept = lines
        .iter()
        .rev()
        .take(tail)
        .take_while(|line| {
            bytes += line.text.message.len();
            bytes <= MAX_BYTES
        })
        .count();
    lines.split_off(lines.len() - kept)
}

async fn read_one(
    connected: &Connected,
    source: &Source,
    tail: usize,
) -> Result<Vec<Line>, EngineError> {
    let tty = has_tty(connected, &source.id).await?;
    let mut stream = LogStream::open(connected, &source.id, &Lines::Last(tail)).await?;
    let mut decoder = Decoder::new(tty);
    let mut kept = VecDeque::new();
    let mut bytes = 0;
    let mut give = |text: super::lines::Text| {
        bytes += text.message.len();
        kept.push_back(line_of(source, text));
        while bytes > MAX_BYTES {
            let Some(oldest) = kept.pop_front() else {
                break;
            };
            bytes -= oldest.text.message.len();
        }
    };
    while let Some(chunk) = stream.next().await? {
        decoder.feed(&chunk, &mut give);
    }
    decoder.finish(&mut give);
    Ok(kept.into())
}
