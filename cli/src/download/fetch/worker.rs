//! One who fetches: asks for a piece, hands on what comes of it, and asks anew when that was cut off.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{
    StatusCode, Version,
    header::{
        ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
        RETRY_AFTER, TRANSFER_ENCODING,
    },
};
use tokio::sync::mpsc::{Sender, UnboundedSender};

use super::{Event, FetchError, kept::Coding, shared::Shared, writer::Chunk};
use crate::download::{
    answer::{Asked, Head, Meaning, Validator, meaning},
    checksums::{Checksum, of_field},
    link::Link,
    patience::Patience,
    web::{Answered, Web, WebError, cut},
};

/// Bytes before what is missing that are asked for once more, where nothing else tells whether it is the same file.
const OVERLAP: u64 = 64 << 10;

/// What all who fetch one file have in common.
pub(super) struct Job {
    pub(super) web: Web,
    pub(super) link: Link,
    /// Where it was had last.
    pub(super) current: Mutex<Link>,
    pub(super) shared: Arc<Shared>,
    pub(super) events: UnboundedSender<Event>,
    pub(super) patience: Mutex<Patience>,
    /// Bytes that it may have.
    pub(super) most: u64,
    pub(super) has_answered: AtomicBool,
    /// Nothing but the end of a connection says where the file ends.
    pub(super) has_no_end: AtomicBool,
}

/// An answer that is read.
pub(super) struct Open {
    answered: Answered,
    at: u64,
    claim: Range<u64>,
    /// Whether its server gives parts.
    pub(super) gives_parts: bool,
    /// What it says of all bytes of the file.
    pub(super) checksums: Vec<Checksum>,
}

/// Why there is none.
enum NotOpen {
    Web(WebError),
    Later(Option<Duration>, WebError),
    Refused(u16, String),
    Final(FetchError),
}

impl Job {
    /// Asks for a piece.
    async fn open(&self, mut claim: Range<u64>, is_lead: bool) -> Result<Open, NotOpen> {
        let kept = self.shared.kept();
        let is_sure = kept.validator.as_ref().is_some_and(Validator::is_strong);
        let from = if is_sure {
            claim.start
        } else {
            claim.start.saturating_sub(OVERLAP)
        };
        let is_to_end = kept.length.is_none_or(|length| claim.end >= length);
        let part = (from > 0 || !is_to_end).then_some(from..claim.end);
        let asked = Asked {
            part: part.clone(),
            validator: kept.validator.clone(),
            length: kept.length,
        };
        let headers = question(part.as_ref(), is_to_end, kept.validator.as_ref());
        let link = self.current().clone();
        let answered = self.web.get(&link, &headers).await;
        let answered = answered.map_err(NotOpen::Web)?;
        let head = head(&answered);
        let peer = answered.by.to_string();
        let unusable = |why| {
            let peer = peer.clone();
            NotOpen::Final(FetchError::Unusable { peer, why })
        };
        let (at, length) = match meaning(&asked, &head) {
            Meaning::Whole(_) if from > 0 && !is_lead => {
                return Err(NotOpen::Refused(200, peer));
            }
            Meaning::Whole(length) => (0, length),
            Meaning::Part(range, length) => (range.start, length),
            Meaning::Changed => return Err(NotOpen::Final(FetchError::Changed)),
            Meaning::Later(pause) => {
                let trouble = cut(&answered.by, "asks for patience");
                return Err(NotOpen::Later(pause, trouble));
            }
            Meaning::Refused(status) => return Err(NotOpen::Refused(status, peer)),
            Meaning::Unusable(why) => return Err(unusable(why)),
        };
        if is_page(&answered) {
            return Err(unusable("a web page, and no image"));
        }
        if length.is_some_and(|length| length > self.most) {
            return Err(NotOpen::Final(self.too_large()));
        }
        let coding = coding(&answered).map_err(unusable)?;
        let has_some = kept.length.is_some() || kept.parts.bytes() > 0;
        if has_some && kept.coding != coding {
            return Err(NotOpen::Final(FetchError::Changed));
        }
        self.shared.learn(|kept| {
            kept.validator = head.validator.clone().or(kept.validator.take());
            kept.length = kept.length.or(length);
            kept.coding = coding;
        });
        if let Some(length) = kept.length.or(length) {
            claim.end = claim.end.min(length);
        }
        let fields = answered.response.headers();
        if length.is_none() && kept.length.is_none() {
            let is_chunked = fields.contains_key(TRANSFER_ENCODING)
                && answered.response.version() >= Version::HTTP_11;
            self.has_no_end.store(!is_chunked, Ordering::Relaxed);
        }
        let gives_parts = head.status == 206
            || fields
                .get(ACCEPT_RANGES)
                .is_some_and(|unit| unit == "bytes");
        let checksums = of_fields(fields, head.status == 200);
        self.has_answered.store(true, Ordering::Relaxed);
        self.current().clone_from(&answered.by);
        Ok(Open {
            answered,
            at,
            claim,
            gives_parts,
            checksums,
        })
    }

    fn too_large(&self) -> FetchError {
        FetchError::TooLarge { most: self.most }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Link> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the first piece, however often that takes.
    pub(super) async fn lead(&self, claim: Range<u64>) -> Result<Open, FetchError> {
        loop {
            match self.open(claim.clone(), true).await {
                Ok(open) => return Ok(open),
                Err(not) => self.again(not).await?,
            }
        }
    }

    /// Fetches pieces of `most` bytes until there are none left.
    pub(super) async fn work(
        &self,
        first: Option<Open>,
        most: u64,
        chunks: Sender<Chunk>,
    ) -> Result<(), FetchError> {
        let is_lead = first.is_some();
        let mut next = first;
        loop {
            let Some(open) = next.take() else {
                let Some(claim) = self.shared.take(most) else {
                    return Ok(());
                };
                match self.open(claim.clone(), is_lead).await {
                    Ok(open) => next = Some(open),
                    Err(not) => {
                        self.shared.give_back(&claim);
                        if !is_lead && matches!(not, NotOpen::Refused(..) | NotOpen::Later(..)) {
                            // The server has had enough connections: there are others.
                            return Ok(());
                        }
                        self.again(not).await?;
                    }
                }
                continue;
            };
            if let Err(error) = self.read(open, most, &chunks).await? {
                self.again(NotOpen::Web(error)).await?;
            }
        }
    }

    /// Hands on what comes. The inner error is one after which it is asked anew.
    async fn read(
        &self,
        open: Open,
        most: u64,
        chunks: &Sender<Chunk>,
    ) -> Result<Result<(), WebError>, FetchError> {
        let (mut answered, mut at, mut claim) = (open.answered, open.at, open.claim);
        let unusable = |by: &Link, why| FetchError::Unusable {
            peer: by.to_string(),
            why,
        };
        loop {
            let more = match answered.more().await {
                Ok(Some(more)) => more,
                Ok(None) => break,
                Err(error) => {
                    self.shared.give_back(&(at.max(claim.start)..claim.end));
                    return Ok(Err(error));
                }
            };
            let mut bytes = more;
            let mut to = at + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if to > self.most {
                return Err(self.too_large());
            }
            let mut is_over = false;
            while to > claim.end {
                if let Some(further) = self.shared.take_at(claim.end, most) {
                    claim.end = further.end;
                    continue;
                }
                let length = self.shared.kept().length;
                if length.is_some_and(|length| to > length) {
                    return Err(unusable(&answered.by, "more bytes than it said"));
                }
                // The rest is somebody else's.
                bytes.truncate(usize::try_from(claim.end.saturating_sub(at)).unwrap_or_default());
                to = claim.end;
                is_over = true;
            }
            if to > at && chunks.send(Chunk { at, bytes }).await.is_err() {
                return Err(FetchError::Stopped);
            }
            at = to.max(at);
            if is_over {
                return Ok(Ok(()));
            }
        }
        if self.shared.kept().length.is_none() {
            self.shared.learn(|kept| kept.length = Some(at));
            return Ok(Ok(()));
        }
        if at < claim.end {
            self.shared.give_back(&(at.max(claim.start)..claim.end));
            return Ok(Err(cut(&answered.by, "gave less than it said")));
        }
        Ok(Ok(()))
    }

    /// Waits until it is asked anew, if that makes sense.
    async fn again(&self, not: NotOpen) -> Result<(), FetchError> {
        let is_original = *self.current() == self.link;
        self.current().clone_from(&self.link);
        let (pause, error) = match not {
            NotOpen::Final(error) => return Err(error),
            // What it was sent to may be of use for some time only.
            NotOpen::Refused(status, peer) if is_original => {
                return Err(FetchError::Refused { status, peer });
            }
            NotOpen::Refused(..) => (None, cut(&self.link, "sent us to where it is not had")),
            NotOpen::Later(pause, error) => (pause, error),
            NotOpen::Web(error) => (None, error),
        };
        let may_pass = match &error {
            WebError::Cut { is_connected, .. } => {
                *is_connected || self.has_answered.load(Ordering::Relaxed)
            }
            _ => false,
        };
        if !may_pass {
            return Err(error.into());
        }
        let (has, _) = self.shared.progress();
        let next = {
            let patience = self.patience.lock();
            let mut patience = patience.unwrap_or_else(PoisonError::into_inner);
            patience.after(has, pause, Instant::now())
        };
        let Some(pause) = next else {
            return Err(FetchError::GaveUp(error));
        };
        // Nobody may listen.
        drop(self.events.send(Event::Again(error.to_string())));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn question(
    part: Option<&Range<u64>>,
    is_to_end: bool,
    validator: Option<&Validator>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(part) = part {
        let last = if is_to_end {
            String::new()
        } else {
            (part.end - 1).to_string()
        };
        let text = format!("bytes={}-{last}", part.start);
        headers.extend(HeaderValue::from_str(&text).map(|value| (RANGE, value)));
        let validator = validator.map(|known| HeaderValue::from_str(known.text()));
        headers.extend(
            validator
                .and_then(Result::ok)
                .map(|value| (IF_RANGE, value)),
        );
    }
    headers
}

fn head(answered: &Answered) -> Head {
    let fields = answered.response.headers();
    let text = |name: HeaderName| fields.get(name)?.to_str().ok();
    let number = |name| text(name)?.parse().ok();
    Head {
        status: answered.response.status().as_u16(),
        content_range: text(CONTENT_RANGE).map(str::to_owned),
        content_length: number(CONTENT_LENGTH),
        validator: Validator::of(text(ETAG), text(LAST_MODIFIED)),
        retry_after: number(RETRY_AFTER),
    }
}

/// Whether it is the page of somebody who answers in place of the server, or says with words what a status should. Those do not know
/// of parts; some servers call every part of a file a page.
fn is_page(answered: &Answered) -> bool {
    if answered.response.status() == StatusCode::PARTIAL_CONTENT {
        return false;
    }
    let field = answered.response.headers().get(CONTENT_TYPE);
    let text = field.and_then(|value| value.to_str().ok());
    text.is_some_and(|text| {
        text.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

/// How it is packed for the way.
fn coding(answered: &Answered) -> Result<Option<Coding>, &'static str> {
    let field = answered.response.headers().get(CONTENT_ENCODING);
    match field.map(|value| value.to_str().unwrap_or("?")) {
        None | Some("" | "identity") => Ok(None),
        Some("gzip" | "x-gzip") => Ok(Some(Coding::Gzip)),
        Some(_) => Err("bytes that are packed for the way, and not by gzip"),
    }
}

/// What an answer says of the file; `Content-Digest` is of what the answer has of it.
fn of_fields(fields: &HeaderMap, is_whole: bool) -> Vec<Checksum> {
    let mut names = vec!["repr-digest", "digest"];
    if is_whole {
        names.push("content-digest");
    }
    let mut all = Vec::new();
    for name in names {
        for value in fields.get_all(name) {
            all.extend(of_field(value.to_str().unwrap_or_default(), name));
        }
    }
    all
}

impl Job {
    /// Leaves to others what is behind the first piece of an answer that would bring everything.
    pub(super) fn narrowed(&self, mut open: Open, most: u64) -> Open {
        let end = open.claim.start.saturating_add(most).min(open.claim.end);
        self.shared.give_back(&(end..open.claim.end));
        open.claim.end = end;
        open
    }
}
