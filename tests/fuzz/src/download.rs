//! Images that are downloaded: what servers answer, what lies beside them, and what is kept of them.

use os_cli::cloud::os_versions;
use os_cli::download::{
    answer::{Asked, Head, Meaning, Validator, meaning},
    cache::About,
    checksums::{List, Sums, of_field, of_list},
    fetch::Kept,
    pieces::Pieces,
};

/// Versions and device types of a cloud; what is kept of a file, and of a part of one.
pub(crate) fn answers(input: &[u8]) {
    let versions = os_versions::versions(input).unwrap_or_default();
    assert!(versions.is_sorted_by(|one, next| one >= next));
    for wanted in ["latest", "esr", "^6", "6.5.0"] {
        let wanted = wanted.parse().expect("what can be typed");
        if let Some(found) = os_versions::choose(&versions, &wanted) {
            assert!(versions.contains(found));
        }
    }
    let types = os_versions::types(input).unwrap_or_default();
    if let Some(first) = types.first() {
        assert!(os_versions::find(&types, &first.slug).is_some());
        assert!(os_versions::near(&types, &first.slug).len() <= 4);
    }
    if let Some(about) = About::parse(input) {
        assert!(!about.name.contains('/') && about.sha256.len() == 64);
    }
    let kept = Kept::parse(input, "http://a.test/os.img", 1 << 30);
    if let Some(kept) = kept {
        assert!(kept.parts.end() <= 1 << 30);
        let mut pieces = Pieces::new(kept.length.unwrap_or(u64::MAX), kept.parts.clone());
        assert!(pieces.done().bytes() <= kept.parts.end());
        if let Some(piece) = pieces.take(1 << 20) {
            let split = kept.parts.split(&piece);
            assert!(split.iter().all(|(_, is_there)| !is_there), "{piece:?}");
        }
    }
}

/// Lists of checksums, and fields that hold some.
pub(crate) fn lists(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let kinds = [List::OfFolder, List::OfFile, List::Signed];
    let mut found = of_field(&text, "a field");
    for kind in kinds {
        found.extend(of_list(&text, "os.img", kind, "a list"));
    }
    for one in &found {
        assert!(matches!(one.value.len(), 32 | 64), "{one}");
    }
    let sums = Sums::new(&found).finish();
    if let Some(wrong) = sums.wrong(&found) {
        assert!(found.contains(wrong));
    }
}

/// A status, the part that was asked for, and fields, one each line.
pub(crate) fn parts(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let number = |line: Option<&str>| line.and_then(|line| line.parse::<u64>().ok());
    let status = number(lines.next()).and_then(|status| u16::try_from(status).ok());
    let (from, to) = (number(lines.next()), number(lines.next()));
    let part = from.zip(to).map(|(from, to)| from..to);
    let mut field = || lines.next().filter(|line| !line.is_empty());
    let head = Head {
        status: status.unwrap_or(206),
        content_range: field().map(str::to_owned),
        content_length: number(field()),
        validator: Validator::of(field(), field()),
        retry_after: number(field()),
        weak: None,
    };
    let asked = Asked {
        part: part.clone(),
        validator: Validator::of(field(), None),
        length: number(field()),
        weak: None,
        is_after_part: false,
    };
    // Behind a part, and with weak tags, which are the last fields.
    let weak = |line: Option<&str>| line.map(str::to_owned);
    let head = Head {
        weak: weak(field()),
        ..head
    };
    let asked = Asked {
        weak: weak(field()),
        is_after_part: field().is_some(),
        ..asked
    };
    match meaning(&asked, &head) {
        Meaning::Part(range, length) => {
            let part = part.expect("a part is given to who asked for one");
            assert!(range.start == part.start && range.end <= part.end && !range.is_empty());
            assert!(length.is_none_or(|length| range.end <= length));
        }
        Meaning::End => assert!(asked.is_after_part && head.status == 416),
        _ => {}
    }
}
