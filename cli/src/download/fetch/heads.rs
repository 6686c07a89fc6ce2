//! The fields of questions and of answers.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use reqwest::{
    StatusCode,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
        HeaderMap, HeaderName, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
    },
};

use super::kept::Coding;
use crate::{
    download::{
        answer::{Head, Validator, weak},
        checksums::{Checksum, of_field},
        web::{Answered, WebError},
    },
    image::container::Format,
};

/// Bytes by which is told whether something is an image.
pub(in crate::download) const FIRST: u64 = 520;

/// The fields of a question for a part of a file, or all of it.
pub(super) fn question(
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

/// What is heeded of an answer's head.
pub(super) fn head(answered: &Answered) -> Head {
    let fields = answered.response.headers();
    let text = |name: HeaderName| fields.get(name)?.to_str().ok();
    let number = |name| text(name)?.parse().ok();
    Head {
        status: answered.response.status().as_u16(),
        content_range: text(CONTENT_RANGE).map(str::to_owned),
        content_length: number(CONTENT_LENGTH),
        validator: Validator::of(text(ETAG), text(LAST_MODIFIED)),
        weak: weak(text(ETAG)),
        retry_after: number(RETRY_AFTER),
    }
}

/// Whether it is the page of somebody who answers in place of the server, or says with words what a status should. Those do not know
/// of parts; some servers call every part of a file a page.
pub(super) fn is_page(answered: &Answered) -> bool {
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
pub(super) fn coding(answered: &Answered) -> Result<Option<Coding>, &'static str> {
    let field = answered.response.headers().get(CONTENT_ENCODING);
    match field.map(|value| value.to_str().unwrap_or("?")) {
        None | Some("" | "identity") => Ok(None),
        Some("gzip" | "x-gzip") => Ok(Some(Coding::Gzip)),
        Some(_) => Err("bytes that are packed for the way, and not by gzip"),
    }
}

/// What an answer says of the file; `Content-Digest` is of what the answer has of it.
pub(super) fn of_fields(fields: &HeaderMap, is_whole: bool) -> Vec<Checksum> {
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

/// The first bytes of an answer that calls itself a page.
pub(super) async fn begun(answered: &mut Answered) -> Result<Bytes, WebError> {
    let mut first = BytesMut::new();
    while u64::try_from(first.len()).is_ok_and(|count| count < FIRST) {
        match answered.more().await? {
            Some(more) => first.extend_from_slice(&more),
            None => break,
        }
    }
    Ok(first.freeze())
}

/// Whether a file that begins so is packed, or has a table of partitions: then it is an image, whatever its server calls it.
pub(in crate::download) fn is_image(first: &[u8]) -> bool {
    Format::of(first) != Format::Raw
        || first.get(510..512) == Some(&[0x55, 0xAA])
        || first.get(512..520) == Some(b"EFI PART")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_from_a_page_by_its_first_bytes() {
        let mut table = vec![0; 1024];
        assert!(!is_image(&table));
        table.splice(510..512, [0x55, 0xAA]);
        assert!(is_image(&table));
        assert!(is_image(b"\xFD7zXZ\0"));
        assert!(!is_image(b"<html>please log in</html>"));
        assert!(!is_image(b""));
    }
}
