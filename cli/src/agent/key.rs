//! A key of a device's API: what it may look like, and how it is sent.

use hyper::header::HeaderValue;

/// Characters of a key, at most. Those of our agent and of the reference have 32.
const LONGEST: usize = 256;

/// A key of one device's API. Nothing shows it: it is for that device alone.
#[derive(Debug, Clone)]
pub struct ApiKey(HeaderValue);

/// The text is no key. It is not repeated: it may be one that was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key is one word of letters, digits and underscores, of at most {LONGEST}")]
pub struct InvalidApiKey;

impl ApiKey {
    /// Reads a key; white space around it does not count.
    ///
    /// # Errors
    /// [`InvalidApiKey`] when a device could not understand it.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let key = text.trim();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if key.is_empty() || key.len() > LONGEST || !key.bytes().all(is_word) {
            return Err(InvalidApiKey);
        }
        let mut value =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| InvalidApiKey)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The value of `Authorization`.
    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word_and_is_not_shown() {
        let key = ApiKey::parse(" 0123abc_X\n").unwrap();
        assert_eq!(key.header(), "Bearer 0123abc_X");
        assert!(!format!("{key:?}").contains("0123"), "{key:?}");
        let long = "a".repeat(LONGEST + 1);
        for wrong in ["", " \n", "two words", "a\nb", "a-b", "\u{e4}", &long] {
            assert_eq!(ApiKey::parse(wrong).unwrap_err(), InvalidApiKey);
        }
    }
}
