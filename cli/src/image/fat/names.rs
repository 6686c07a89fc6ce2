//! Names: eleven bytes of the old kind, and the longer ones in front of them.

use std::collections::BTreeSet;

use super::{
    super::field::{array_at, put, u8_at},
    FatError,
    geometry::ENTRY,
};

/// Bytes of a short name.
pub(super) const SHORT: usize = 11;
/// UTF-16 units that a long name may have.
const MOST_UNITS: usize = 255;
/// Units of one entry.
const PIECE: usize = 13;
/// Where they are in it.
const PLACES: [usize; PIECE] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// Set in the number of the entry that is the first on the medium, and the last of the name.
const FIRST: u8 = 0x40;
/// What marks an entry as a piece of a long name.
pub(super) const IS_PIECE: u8 = 0x0F;

/// A name as FAT keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewName {
    pub(super) short: [u8; SHORT],
    /// Entries in front of that of the short one, in their order; none where that says all.
    pub(super) pieces: Vec<[u8; ENTRY]>,
}

/// Whether two names are the same file.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let folded = |name: &str| {
        name.chars()
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    one == other || folded(one) == folded(other)
}

/// Makes a name for a folder that has `taken` short ones already.
pub(super) fn new_name(name: &str, taken: &BTreeSet<[u8; SHORT]>) -> Result<NewName, FatError> {
    let units: Vec<u16> = name.encode_utf16().collect();
    let refused = |because| {
        Err(FatError::Name {
            path: name.to_owned(),
            because,
        })
    };
    if units.is_empty() || units.len() > MOST_UNITS {
        return refused("it has to have 1 to 255 characters");
    }
    let is_bad = |char: char| char.is_control() || "\"*/:<>?\\|".contains(char);
    if name.contains(is_bad) {
        return refused("it has one of the characters \" * / : < > ? \\ |");
    }
    if name.ends_with(['.', ' ']) || name.starts_with(' ') {
        return refused("it begins with a space, or ends with one or with a dot");
    }
    if let Some(short) = exact(name)
        && !taken.contains(&short)
    {
        return Ok(NewName {
            short,
            pieces: Vec::new(),
        });
    }
    let short = (1..=999_999).find_map(|number| {
        let short = numbered(name, number);
        (!taken.contains(&short)).then_some(short)
    });
    let Some(short) = short else {
        return refused("its folder has too many names of its kind");
    };
    Ok(NewName {
        short,
        pieces: pieces(&units, checksum(&short)),
    })
}

/// The name as a short one, if that says all of it.
fn exact(name: &str) -> Option<[u8; SHORT]> {
    let is_plain = |byte: u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"!#$%&'()-@^_`{}~".contains(&byte)
    };
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let is_short = (1..=8).contains(&base.len()) && extension.len() <= 3;
    let has_end = !name.contains('.') || !extension.is_empty();
    let is_exact = is_short && has_end && base.bytes().chain(extension.bytes()).all(is_plain);
    is_exact.then(|| padded(base.as_bytes(), extension.as_bytes()))
}

/// A short name that stands for a longer one: its letters, and a number.
fn numbered(name: &str, number: u32) -> [u8; SHORT] {
    let kept = |text: &str| -> Vec<u8> {
        let known = |char: char| match char {
            ' ' | '.' => None,
            char if char.is_ascii_alphanumeric() || "!#$%&'()-@^_`{}~".contains(char) => {
                u8::try_from(char.to_ascii_uppercase()).ok()
            }
            _ => Some(b'_'),
        };
        text.chars().filter_map(known).collect()
    };
    let (base, extension) = match name.trim_start_matches('.').rsplit_once('.') {
        Some((base, extension)) => (kept(base), kept(extension)),
        None => (kept(name), Vec::new()),
    };
    let tail = format!("~{number}");
    let mut base: Vec<u8> = base.into_iter().take(8 - tail.len()).collect();
    base.extend_from_slice(tail.as_bytes());
    padded(&base, &extension)
}

fn padded(base: &[u8], extension: &[u8]) -> [u8; SHORT] {
    let mut short = [b' '; SHORT];
    put(&mut short, 0, base.get(..8).unwrap_or(base));
    put(&mut short, 8, extension.get(..3).unwrap_or(extension));
    short
}

/// Ties the pieces of a long name to its short one.
pub(super) fn checksum(short: &[u8; SHORT]) -> u8 {
    short
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

fn pieces(units: &[u16], checksum: u8) -> Vec<[u8; ENTRY]> {
    let count = units.len().div_ceil(PIECE);
    let piece = |(index, part): (usize, &[u16])| {
        let mut entry = [0; ENTRY];
        let number = u8::try_from(index + 1).unwrap_or(u8::MAX);
        let is_last = index + 1 == count;
        put(&mut entry, 0, &[number | if is_last { FIRST } else { 0 }]);
        put(&mut entry, 11, &[IS_PIECE, 0, checksum]);
        // Behind the name comes a zero, and then what is nothing.
        let padding = [0].into_iter().chain(std::iter::repeat(0xFFFF));
        let units = part.iter().copied().chain(padding);
        for (place, unit) in PLACES.into_iter().zip(units) {
            put(&mut entry, place, &unit.to_le_bytes());
        }
        entry
    };
    units.chunks(PIECE).enumerate().map(piece).rev().collect()
}

/// A long name that is being read, piece by piece.
#[derive(Debug, Default)]
pub(super) struct LongName {
    /// Units, the last piece first.
    pieces: Vec<[u16; PIECE]>,
    /// The number of the piece that comes now; 0 when all have come.
    awaited: u8,
    checksum: u8,
}

impl LongName {
    /// Takes a piece. One that does not fit those before it ends them.
    pub(super) fn take(&mut self, entry: &[u8; ENTRY]) {
        let [number, ..] = *entry;
        let checksum = u8_at(entry, 13).unwrap_or_default();
        let index = number & 0x1F;
        if number & FIRST != 0 {
            self.pieces.clear();
            self.checksum = checksum;
        } else if index != self.awaited || checksum != self.checksum || index == 0 {
            *self = Self::default();
            return;
        }
        let unit = |place: usize| array_at(entry, place).map_or(0, u16::from_le_bytes);
        self.pieces.push(PLACES.map(unit));
        self.awaited = index.saturating_sub(1);
    }

    /// The name, if the short one that follows is its own.
    pub(super) fn end(self, short: &[u8; SHORT]) -> Option<String> {
        if self.pieces.is_empty() || self.awaited != 0 || self.checksum != checksum(short) {
            return None;
        }
        let units = self.pieces.iter().rev().flatten().copied();
        let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        let is_name = (1..=MOST_UNITS).contains(&units.len());
        is_name.then(|| String::from_utf16_lossy(&units))
    }
}

/// A short name for people. `case` are the bits by which NT keeps it in small letters.
pub(super) fn short_text(short: &[u8; SHORT], case: u8) -> String {
    let part = |bytes: &[u8], is_small: bool| -> String {
        let text: String = bytes
            .iter()
            .map(|byte| match *byte {
                byte if byte.is_ascii_graphic() || byte == b' ' => char::from(byte),
                _ => char::REPLACEMENT_CHARACTER,
            })
            .collect();
        let text = text.trim_end();
        if is_small {
            text.to_ascii_lowercase()
        } else {
            text.to_owned()
        }
    };
    let mut first = *short;
    // This byte would mean that nothing is there.
    if let [byte @ 0x05, ..] = &mut first {
        *byte = 0xE5;
    }
    let (base, extension) = first.split_at(8);
    let base = part(base, case & 0x08 != 0);
    match part(extension, case & 0x10 != 0) {
        extension if extension.is_empty() => base,
        extension => format!("{base}.{extension}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> NewName {
        new_name(name, &BTreeSet::new()).unwrap()
    }

    fn read(name: &NewName) -> String {
        let mut long = LongName::default();
        for piece in &name.pieces {
            long.take(piece);
        }
        long.end(&name.short)
            .unwrap_or_else(|| short_text(&name.short, 0))
    }

    #[test]
    fn a_name_is_read_as_it_was_made() {
        for (name, short) in [
            ("CONFIG.TXT", "CONFIG  TXT"),
            ("config.json", "CONFIG~1JSO"),
            ("system-connections", "SYSTEM~1   "),
            ("resin-wifi", "RESIN-~1   "),
            (".hidden", "HIDDEN~1   "),
            ("a.b.c", "AB~1    C  "),
            ("Zoë ☕.nmconnection", "ZO__~1  NMC"),
            (&"x".repeat(255), "XXXXXX~1   "),
            (&"y".repeat(13), "YYYYYY~1   "),
        ] {
            let made = made(name);
            assert_eq!(made.short, short.as_bytes(), "{name}");
            assert_eq!(read(&made), name);
        }
    }

    #[test]
    fn a_short_name_that_is_taken_gets_the_next_number() {
        let mut taken = BTreeSet::new();
        for number in 1..=12 {
            let name = new_name("a long name", &taken).unwrap();
            let tail = format!("~{number}");
            assert!(String::from_utf8_lossy(&name.short).contains(&tail));
            assert!(taken.insert(name.short));
        }
        taken.insert(*b"CONFIG  TXT");
        let name = new_name("CONFIG.TXT", &taken).unwrap();
        assert_eq!(name.short, *b"CONFIG~1TXT");
    }

    #[test]
    fn what_fat_cannot_hold_is_refused() {
        let long = "x".repeat(256);
        for name in ["", "a/b", "a:b", "a\nb", "end.", "end ", " start", &long] {
            let refused = new_name(name, &BTreeSet::new());
            assert!(matches!(refused, Err(FatError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn pieces_of_another_name_are_none_of_this_one() {
        let made = made("config.json");
        let mut long = LongName::default();
        for piece in &made.pieces {
            long.take(piece);
        }
        assert_eq!(long.end(b"CONFIG~2JSO"), None);
        let two = new_name(&"z".repeat(20), &BTreeSet::new()).unwrap();
        let mut long = LongName::default();
        long.take(&two.pieces[1]);
        assert_eq!(long.end(&two.short), None);
    }
}
