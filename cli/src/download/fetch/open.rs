//! A question for a piece, and what its answer says before its bytes are read.

use std::{ops::Range, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use reqwest::{
    Version,
    header::{ACCEPT_RANGES, TRANSFER_ENCODING},
};

use super::{
    FetchError,
    heads::{begun, coding, head, is_image, is_page, of_fields, question},
    kept::{Coding, Kept},
    worker::Job,
};
use crate::{
    download::{
        answer::{Meaning, meaning},
        checksums::Checksum,
        joint::{Brought, Measure, Silent, joint},
        web::{Answered, WebError},
    },
    image::container::Format,
};

/// Whether a file can be whole that ends with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endless {
    /// A checksum will tell.
    Checked,
    /// Lists beside where the address leads may.
    ListedElsewhere,
    /// Nothing will but itself, if it is packed.
    Unknown,
}

/// An answer that is read.
pub(super) struct Open {
    pub(super) answered: Answered,
    /// What was read of it already.
    pub(super) first: Option<Bytes>,
    pub(super) at: u64,
    pub(super) claim: Range<u64>,
    /// Where the part ends that it is, if it is one.
    pub(super) part_end: Option<u64>,
    /// Whether its end is told, and is not only that of its connection.
    pub(super) tells_end: bool,
    /// Whether its server gives parts.
    pub(super) gives_parts: bool,
    /// What it says of all bytes of the file.
    pub(super) checksums: Vec<Checksum>,
}

/// Why there is none.
pub(super) enum NotOpen {
    Web(WebError),
    Later(Option<Duration>, WebError),
    Refused(u16, String),
    Final(FetchError),
    /// There is nothing more: the file ends where it was asked for.
    End,
    /// It says nothing of its file: more is asked for, and compared.
    Silent,
}

impl Job {
    /// Asks for a piece.
    pub(super) async fn open(&self, mut claim: Range<u64>, is_lead: bool) -> Result<Open, NotOpen> {
        let kept = self.shared.kept();
        let is_after_part = self.ended_at.load(Ordering::Relaxed) == claim.start;
        let measure = *self.measure();
        let known = kept.validator.as_ref();
        let (has_front, has_behind) = (claim.start > 0, kept.parts.end() > claim.start);
        if !has_front && !measure.can_begin(known, has_behind) {
            return Err(NotOpen::Final(FetchError::Changed));
        }
        let from = self.from(&kept, measure, claim.start, is_after_part);
        let from = from.await?;
        let is_to_end = kept.length.is_none_or(|length| claim.end >= length);
        let part = (from > 0 || !is_to_end).then_some(from..claim.end);
        let asked = self.asked(&kept, part.clone(), is_after_part);
        let headers = question(part.as_ref(), is_to_end, asked.validator.as_ref());
        let link = self.current().clone();
        let answered = self.web.get(&link, &headers).await;
        let mut answered = answered.map_err(NotOpen::Web)?;
        let head = head(&answered);
        let (at, length, part_end) = match meaning(&asked, &head) {
            Meaning::Whole(_) if from > 0 && !is_lead => {
                return Err(NotOpen::Refused(200, answered.by.to_string()));
            }
            Meaning::Whole(length) => (0, length, None),
            Meaning::Part(range, length) => (range.start, length, Some(range.end)),
            other => return Err(Self::not_meant(&other, &answered)),
        };
        let brought = Brought {
            is_part: part_end.is_some(),
            has_front,
            has_behind,
            shown: head.validator.as_ref(),
            known,
        };
        let joint = joint(&brought, measure).map_err(|silent| self.heeds(silent))?;
        if length.is_some_and(|length| length > self.most) {
            return Err(NotOpen::Final(self.too_large()));
        }
        let (coding, mut first) = looked_at(&mut answered, &kept).await?;
        self.shared.learn(|kept| {
            kept.learn_state(head.validator.as_ref(), head.weak.as_ref());
            kept.joint = kept.joint.max(joint);
            kept.learn_length(length);
            kept.coding = coding;
        });
        if let Some(length) = kept.length.or(length) {
            claim.end = claim.end.min(length);
        }
        let fields = answered.response.headers();
        let checksums = of_fields(fields, head.status == 200);
        let accepts = fields.get(ACCEPT_RANGES);
        let gives_parts = head.status == 206 || accepts.is_some_and(|unit| unit == "bytes");
        let is_chunked = fields.contains_key(TRANSFER_ENCODING)
            && answered.response.version() >= Version::HTTP_11;
        let tells_end = is_chunked || length.or(kept.length).is_some() || part_end.is_some();
        if !tells_end && checksums.is_empty() && coding.is_none() {
            first = self.ends_by_itself(&mut answered, first).await?;
        }
        self.has_answered.store(true, Ordering::Relaxed);
        self.current().clone_from(&answered.by);
        Ok(Open {
            answered,
            first,
            at,
            claim,
            part_end,
            tells_end,
            gives_parts,
            checksums,
        })
    }

    /// Whether what has no end but that of its connection can be told to be whole, before it is fetched. Returns what was read of it.
    async fn ends_by_itself(
        &self,
        answered: &mut Answered,
        first: Option<Bytes>,
    ) -> Result<Option<Bytes>, NotOpen> {
        let is_unknown = match self.endless {
            Endless::Checked => false,
            Endless::ListedElsewhere => answered.by.identity() == self.link.identity(),
            Endless::Unknown => true,
        };
        if !is_unknown {
            return Ok(first);
        }
        let first = match first {
            Some(first) => first,
            None => begun(answered).await.map_err(NotOpen::Web)?,
        };
        match Format::of(&first) {
            Format::Raw => Err(NotOpen::Final(FetchError::NoEnd)),
            _ => Ok(Some(first)),
        }
    }

    /// Parts are compared from now on.
    fn heeds(&self, _: Silent) -> NotOpen {
        *self.measure() = Measure::Comparison;
        NotOpen::Silent
    }

    pub(super) fn too_large(&self) -> FetchError {
        FetchError::TooLarge { most: self.most }
    }
}

/// How an answer is packed for the way, and what was read of it to tell an image from a page.
async fn looked_at(
    answered: &mut Answered,
    kept: &Kept,
) -> Result<(Option<Coding>, Option<Bytes>), NotOpen> {
    let peer = answered.by.to_string();
    let unusable = |why| NotOpen::Final(FetchError::Unusable { peer, why });
    let coding = match coding(answered) {
        Ok(coding) => coding,
        Err(why) => return Err(unusable(why)),
    };
    let mut first = None;
    if is_page(answered) {
        let begun = begun(answered).await.map_err(NotOpen::Web)?;
        // What is packed for the way could be any page.
        if coding.is_some() || !is_image(&begun) {
            return Err(unusable("a web page, and no image"));
        }
        first = Some(begun);
    }
    let has_some = kept.length.is_some() || kept.parts.bytes() > 0;
    if has_some && kept.coding != coding {
        return Err(NotOpen::Final(FetchError::Changed));
    }
    Ok((coding, first))
}
