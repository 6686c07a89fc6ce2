//! `NetworkManager`'s files: written so that it reads the same, and read as far as a person's own file is checked.
//!
//! Source: the keyfile format of `NetworkManager` (nm-settings-keyfile(5)), which is that of `GLib` with values of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// A connection in the making.
#[derive(Clone)]
pub(super) struct Keyfile {
    text: String,
}

impl Keyfile {
    /// A connection of this name and type. The same name has the same uuid.
    pub(super) fn new(id: &str, kind: &str) -> Self {
        let mut file = Self {
            text: String::new(),
        };
        file.section("connection");
        file.text("id", id);
        file.text("uuid", &uuid(id));
        file.text("type", kind);
        file
    }

    pub(super) fn section(&mut self, name: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.line(format_args!("{gap}[{name}]"));
    }

    /// A text, whatever is in it.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        let last = value.chars().count().saturating_sub(1);
        let mut written = String::new();
        for (index, letter) in value.chars().enumerate() {
            match letter {
                '\\' => written.push_str("\\\\"),
                '\n' => written.push_str("\\n"),
                '\r' => written.push_str("\\r"),
                '\t' => written.push_str("\\t"),
                // Blanks at an end would be taken for none by some that read it.
                ' ' if index == 0 || index == last => written.push_str("\\s"),
                letter => written.push(letter),
            }
        }
        self.line(format_args!("{key}={written}"));
    }

    /// Words that have nothing to be escaped, each with its end.
    pub(super) fn list(&mut self, key: &str, words: &[String]) {
        let mut written = String::new();
        for word in words {
            written.push_str(word);
            written.push(';');
        }
        self.line(format_args!("{key}={written}"));
    }

    /// The name of a Wi-Fi network: bytes, of which only plain words are written as text. `1;2;` would be two bytes.
    pub(super) fn ssid(&mut self, key: &str, ssid: &[u8]) {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_. ".contains(byte);
        let text = std::str::from_utf8(ssid).ok().filter(|text| {
            ssid.iter().all(is_plain)
                && text.trim() == *text
                && text.contains(|letter: char| letter.is_ascii_alphabetic())
        });
        if let Some(text) = text {
            self.line(format_args!("{key}={text}"));
        } else {
            let bytes: Vec<String> = ssid.iter().map(u8::to_string).collect();
            self.list(key, &bytes);
        }
    }

    /// A file's content within the file.
    pub(super) fn blob(&mut self, key: &str, bytes: &[u8]) {
        let encoded = STANDARD.encode(bytes);
        self.line(format_args!("{key}=data:;base64,{encoded}"));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a text never fails.
        let _is_written = writeln!(self.text, "{line}").is_ok();
    }
}

/// Hexadecimal digits of bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _is_written = write!(text, "{byte:02x}").is_ok();
    }
    text
}

/// A uuid that is made of a name (RFC 9562, version 5), in a space of our own.
fn uuid(name: &str) -> String {
    let hashed = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("os network connection {name}").as_bytes(),
    );
    let bytes = hashed.as_ref().iter().take(16).zip(0..);
    let mut text = String::new();
    for (byte, index) in bytes {
        let byte = match index {
            6 => byte & 0x0F | 0x50,
            8 => byte & 0x3F | 0x80,
            _ => *byte,
        };
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        let _is_written = write!(text, "{byte:02x}").is_ok();
    }
    text
}

/// What a person's own file says, by section and key; the last of the same key counts.
#[derive(Clone, Default)]
pub(super) struct Read {
    sections: BTreeSet<String>,
    /// By section and key, with the number of the line.
    entries: BTreeMap<(String, String), (usize, String)>,
}

impl Read {
    /// Reads a file. `Err`: what is wrong, with the line's number and never its words, since passwords are in it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut read = Self::default();
        let mut section = None;
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_start_matches(is_blank);
            // What begins with `;` is no comment there.
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let neither = || format!("line {number} is neither [section] nor key=value");
            if let Some(name) = line.strip_prefix('[').and_then(|rest| {
                let rest = rest.trim_end_matches([' ', '\t']);
                rest.strip_suffix(']')
            }) {
                if !is_section(name) {
                    return Err(format!("line {number} names a section that cannot be one"));
                }
                read.sections.insert(name.to_owned());
                section = Some(name);
                continue;
            }
            let (key, value) = line.split_once('=').ok_or_else(neither)?;
            let key = key.trim_end_matches(is_blank);
            if !is_key(key) {
                return Err(neither());
            }
            let within = section
                .ok_or_else(|| format!("line {number} stands before the first [section]"))?;
            let value = value.trim_start_matches(is_blank);
            let entry = (within.to_owned(), key.to_owned());
            read.entries.insert(entry, (number, value.to_owned()));
        }
        Ok(read)
    }

    /// The same without blanks at the ends of values, which are part of them.
    pub(super) fn without_blanks(&self) -> Self {
        let mut read = self.clone();
        for (_, value) in read.entries.values_mut() {
            value.truncate(value.trim_end().len());
        }
        read
    }

    /// Whether there is a section, which may have an older name.
    pub(super) fn has(&self, sections: &[&str]) -> bool {
        sections.iter().any(|name| self.sections.contains(*name))
    }

    /// Names of all sections.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(String::as_str)
    }

    /// All keys of a section, as written.
    pub(super) fn all(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.entries.iter();
        let own = entries.filter(move |((within, _), _)| within == section);
        own.map(|((_, key), (_, value))| (key.as_str(), value.as_str()))
    }

    /// A value as written, of a section that may have an older name.
    pub(super) fn get(&self, sections: &[&str], key: &str) -> Option<&str> {
        let of = |section: &&str| self.entries.get(&((*section).to_owned(), key.to_owned()));
        let found = sections.iter().filter_map(of).max();
        found.map(|(_, value)| value.as_str())
    }

    /// A text as it is meant. One that is escaped in another way is passed over by those who read it.
    pub(super) fn said(&self, sections: &[&str], key: &str) -> Option<String> {
        let mut said = String::new();
        let mut letters = self.get(sections, key)?.chars();
        while let Some(letter) = letters.next() {
            said.push(match letter {
                '\\' => match letters.next()? {
                    's' => ' ',
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '\\' => '\\',
                    _ => return None,
                },
                letter => letter,
            });
        }
        Some(said)
    }
}

/// Of those there are.
fn is_blank(letter: char) -> bool {
    letter.is_ascii_whitespace()
}

/// As devices take it. A peer of `WireGuard` is called by its key.
fn is_section(name: &str) -> bool {
    let is_peer = name.starts_with("wireguard-peer.");
    let more: &[u8] = if is_peer { b"+/=" } else { b"" };
    let is_name =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-_.: ".contains(&byte) || more.contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(is_name)
}

/// A key may have a language behind it: `name[de]`.
fn is_key(key: &str) -> bool {
    let is_language = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
    let (name, language) = match key.split_once('[') {
        None => (key, Some("")),
        Some((name, behind)) => (name, behind.strip_suffix(']')),
    };
    !name.is_empty()
        && !name.contains(']')
        && !name.ends_with(is_blank)
        && language.is_some_and(|language| language.chars().all(is_language))
}
