//! A field of a row of the journal, in all the shapes that `journalctl` gives it. Pure.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// A field's bytes; `None` where it is null or absent.
#[derive(Debug, Default)]
pub(super) struct Field(pub(super) Option<Vec<u8>>);

impl Field {
    /// Its text; `None` where it is no UTF-8 or empty.
    pub(super) fn text(&self) -> Option<String> {
        let bytes = self.0.clone()?;
        String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.is_empty())
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Pieces)? {
            Piece::Field(bytes) => Ok(Self(bytes)),
            // A bare number: journals do not hold any.
            Piece::Byte(_) => Ok(Self(None)),
        }
    }
}

/// A value in a row: a field, or one byte of it.
#[derive(Debug)]
enum Piece {
    Byte(u8),
    Field(Option<Vec<u8>>),
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Pieces)
    }
}

struct Pieces;

impl<'de> Visitor<'de> for Pieces {
    type Value = Piece;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, an array of bytes, or null")
    }

    fn visit_str<E>(self, text: &str) -> Result<Piece, E> {
        Ok(Piece::Field(Some(text.as_bytes().to_vec())))
    }

    fn visit_unit<E>(self) -> Result<Piece, E> {
        Ok(Piece::Field(None))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Piece, E> {
        u8::try_from(number)
            .map(Piece::Byte)
            .map_err(|_| E::custom("a byte is larger than 255"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<Piece, A::Error> {
        let mut bytes = Vec::new();
        let mut first = None;
        while let Some(piece) = pieces.next_element()? {
            match piece {
                Piece::Byte(byte) => bytes.push(byte),
                Piece::Field(field) => first = first.or(field),
            }
        }
        Ok(Piece::Field(first.or(Some(bytes))))
    }
}
