//! What a person is let into a cloud with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Characters, at most: a session of the reference has some hundred.
const LONGEST: usize = 8 << 10;

/// A session or an API key of a cloud. Nothing shows it; it is written out only for the process that makes the connection.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

/// The text is no token. It is not repeated: it may be one that was mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is one word of letters, digits and `-._~+/=`, of at most {LONGEST}")]
pub struct InvalidToken;

impl Token {
    /// Reads a token; white space around it does not count.
    ///
    /// # Errors
    /// [`InvalidToken`] when no cloud could understand it.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let token = text.trim();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || token.len() > LONGEST || !token.bytes().all(fits) {
            return Err(InvalidToken);
        }
        Ok(Self(token.to_owned()))
    }

    /// As it is sent, to the cloud alone.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_is_not_shown() {
        let token = Token::parse(" eyJh.eyJp-_.c2ln\n").unwrap();
        assert_eq!(token.text(), "eyJh.eyJp-_.c2ln");
        assert!(!format!("{token:?}").contains("eyJ"), "{token:?}");
        let long = "a".repeat(LONGEST + 1);
        for wrong in ["", " \n", "two words", "a\r\nb", "a:b", "\u{e4}", &long] {
            assert_eq!(Token::parse(wrong).unwrap_err(), InvalidToken);
        }
    }
}
