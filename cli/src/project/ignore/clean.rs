//! Lines and paths in their shortest form, the way the engine's own client writes them down.

/// Without white space at both ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

/// A line (trimmed, not empty) as a pattern: cleaned, without a leading slash, `!` kept in front.
pub(super) fn line(line: &[u8]) -> Vec<u8> {
    let (exception, rest) = match line.strip_prefix(b"!") {
        Some(rest) => (true, trim(rest)),
        None => (false, line),
    };
    let mut pattern = Vec::with_capacity(line.len());
    if exception {
        pattern.push(b'!');
    }
    if !rest.is_empty() {
        let cleaned = path(rest);
        pattern.extend_from_slice(match cleaned.strip_prefix(b"/") {
            Some(relative) if !relative.is_empty() => relative,
            _ => &cleaned,
        });
    }
    pattern
}

/// A path without empty parts, without `.`, and with every `..` resolved that can be; `.` when nothing is left.
pub(super) fn path(text: &[u8]) -> Vec<u8> {
    let rooted = text.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in text.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match parts.last() {
                Some(&last) if last != b".." => drop(parts.pop()),
                _ if rooted => {}
                _ => parts.push(part),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/".as_slice(), &joined].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
