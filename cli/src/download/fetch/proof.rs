//! Whether a file is still the one of which there are parts, where no server says so: more of it is asked for once more, and compared.

use std::{
    io,
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

use fs_err::os::unix::fs::FileExt as _;
use reqwest::StatusCode;
use tokio::task::spawn_blocking;

use super::{
    FetchError,
    heads::{head, question},
    kept::Kept,
    open::NotOpen,
    shared::Shared,
    worker::Job,
};
use crate::download::{
    answer::{Asked, Meaning, meaning},
    joint::Measure,
    web::{Answered, cut},
};

/// What says that a file ends before a part of it.
const NOTHING_THERE: StatusCode = StatusCode::RANGE_NOT_SATISFIABLE;
/// Bytes before what is missing that are asked for once more; they are more where all of these are the same.
const OVERLAP: u64 = 64 << 10;
/// Bytes that are looked at for them, at most: a disk has long stretches of zeros, and each cut would fetch them once more.
const FAR: u64 = 4 << 20;
/// Bytes at the beginning that are: there the versions of a file differ first.
const BEGINNING: u64 = 256 << 10;

impl Job {
    /// From where on a piece is to be asked for, so that what comes is compared with something that tells files from each other, if it is to be.
    pub(super) async fn from(
        &self,
        kept: &Kept,
        measure: Measure,
        start: u64,
        is_after_part: bool,
    ) -> Result<u64, NotOpen> {
        if measure.trusts(kept.validator.as_ref()) {
            return Ok(start);
        }
        let from = self.prove(kept, start).await?;
        if !is_after_part {
            return Ok(from);
        }
        // The file may end here, which is told only to who asks for what is behind that.
        if from < start {
            self.compare(kept, from..start).await?;
        }
        Ok(start)
    }

    /// What is asked for, and what the answer is measured by.
    pub(super) fn asked(
        &self,
        kept: &Kept,
        part: Option<Range<u64>>,
        is_after_part: bool,
    ) -> Asked {
        let mut asked = Asked {
            part,
            validator: kept.validator.clone(),
            weak: kept.weak.clone(),
            length: kept.length,
            is_after_part,
        };
        if *self.measure() == Measure::Checksum {
            (asked.validator, asked.weak) = (None, None);
        }
        asked
    }

    /// Compares the beginning of the file with what is here. Returns from where on it is to be had, so that something is compared that tells files
    /// from each other.
    async fn prove(&self, kept: &Kept, start: u64) -> Result<u64, NotOpen> {
        let shared = Arc::clone(&self.shared);
        let from = spawn_blocking(move || telling(&shared, start)).await;
        let from = from.map_err(io::Error::other).and_then(|from| from);
        let from = from.map_err(|error| NotOpen::Final(error.into()))?;
        let to = kept.parts.prefix().min(BEGINNING);
        if from == 0 || to == 0 || self.is_begun_so.load(Ordering::Relaxed) {
            return Ok(from);
        }
        let is_compared = self.compare(kept, 0..to).await?;
        let is_enough = is_compared && to == BEGINNING;
        self.is_begun_so.store(is_enough, Ordering::Relaxed);
        Ok(from)
    }

    /// Asks for a part that is here once more; whether it could be compared.
    async fn compare(&self, kept: &Kept, part: Range<u64>) -> Result<bool, NotOpen> {
        let asked = self.asked(kept, Some(part.clone()), false);
        let headers = question(Some(&part), false, asked.validator.as_ref());
        let link = self.current().clone();
        let answered = self.web.get(&link, &headers).await;
        let mut answered = answered.map_err(NotOpen::Web)?;
        match meaning(&asked, &head(&answered)) {
            Meaning::Part(..) => {}
            // It will be compared as a whole.
            Meaning::Whole(_) => return Ok(false),
            other => return Err(Self::not_meant(&other, &answered)),
        }
        let count = usize::try_from(part.end - part.start).unwrap_or_default();
        let mut came = Vec::new();
        while came.len() < count
            && let Some(more) = answered.more().await.map_err(NotOpen::Web)?
        {
            came.extend_from_slice(&more);
        }
        came.truncate(count);
        let shared = Arc::clone(&self.shared);
        let (at, count) = (part.start, came.len());
        let here = spawn_blocking(move || written(&shared, at, count)).await;
        let here = here.map_err(io::Error::other).and_then(|here| here);
        let here = here.map_err(|error| NotOpen::Final(error.into()))?;
        let here = here.ok_or(NotOpen::Final(FetchError::Stopped))?;
        if here != came || came.is_empty() {
            return Err(NotOpen::Final(FetchError::Changed));
        }
        Ok(true)
    }

    /// What an answer with nothing of the file means.
    pub(super) fn not_meant(meant: &Meaning, answered: &Answered) -> NotOpen {
        let peer = answered.by.to_string();
        match meant {
            Meaning::Later(pause) => NotOpen::Later(*pause, cut(&answered.by, "asks for patience")),
            Meaning::Refused(status) => NotOpen::Refused(*status, peer),
            Meaning::Unusable(why) => NotOpen::Final(FetchError::Unusable { peer, why }),
            Meaning::End => NotOpen::End,
            Meaning::Changed if answered.response.status() == NOTHING_THERE => {
                NotOpen::Final(FetchError::Shorter(peer))
            }
            Meaning::Whole(_) | Meaning::Part(..) | Meaning::Changed => {
                NotOpen::Final(FetchError::Changed)
            }
        }
    }
}

/// Bytes that have come, once they are in the file: what came last may still be on its way there. `None`: it was stopped.
fn written(shared: &Shared, at: u64, count: usize) -> io::Result<Option<Vec<u8>>> {
    let end = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    if !shared.wait_for(end) {
        return Ok(None);
    }
    let mut here = vec![0; count];
    shared.file().read_exact_at(&mut here, at)?;
    Ok(Some(here))
}

/// From where on, before a place, there is something else than one byte again and again; where that is far, what is near has to do.
fn telling(shared: &Shared, start: u64) -> io::Result<u64> {
    let near = start.saturating_sub(OVERLAP);
    let mut from = start;
    while from > start.saturating_sub(FAR) {
        let next = from.saturating_sub(OVERLAP);
        let mut block = vec![0; usize::try_from(from - next).unwrap_or_default()];
        match shared.file().read_exact_at(&mut block, next) {
            // What came last is not written yet.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(next),
            read => read?,
        }
        from = next;
        if block.windows(2).any(|pair| pair.first() != pair.last()) {
            return Ok(from);
        }
    }
    Ok(if from == 0 { 0 } else { near })
}
