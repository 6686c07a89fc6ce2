//! Names of secrets: whoever names one does it as others do.
//!
//! In: the last part of a key, or a name within a URL. Out: whether its value is most likely a secret, or surely one. Pure.

use std::mem;

/// Letters of a name, at most; what stands before them does not count.
const MOST: usize = 64;
/// How names of secrets end, without regard to capitals and to what stands between words.
const SURE: [&str; 25] = [
    "accesskey",
    "accountkey",
    "apikey",
    "authkey",
    "authorization",
    "credential",
    "encryptionkey",
    "jwt",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "presharedkey",
    "privatekey",
    "psk",
    "pwd",
    "secret",
    "secretkey",
    "sharedkey",
    "signingkey",
    "simpin",
    "token",
    "userpass",
    "wepkey",
    "wifikey",
];
/// The same, with which other things end, too. Whoever types one may mean something else, as a pin of a board.
const LIKELY: [&str; 6] = ["auth", "key", "pass", "pin", "sig", "signature"];
/// What is no secret of those, as one word or as several: keys that everybody may know, pins of a board, and words.
const OPEN: [&str; 13] = [
    "authorizedkey",
    "bypass",
    "compass",
    "gpiopin",
    "hotkey",
    "ledpin",
    "pubkey",
    "publickey",
    "resetpin",
    "sortkey",
    "spin",
    "sshkey",
    "turnkey",
];
/// Words behind the name of a secret that make it nothing else.
const BEHIND: [&str; 8] = ["b", "base", "der", "hex", "new", "old", "pem", "v"];

/// Whether what is named so is most likely a secret.
pub(super) fn is_named_so(name: &str) -> bool {
    let name = Name::of(name);
    (name.ends(&SURE) || name.ends(&LIKELY)) && !name.is_open()
}

/// Whether it is nothing else.
pub(super) fn is_surely_secret(name: &str) -> bool {
    let name = Name::of(name);
    name.ends(&SURE) && !name.is_open()
}

/// Whether what stands behind it in a text that may be about anything is most likely a secret.
pub(super) fn is_secret_in_text(text: &str) -> bool {
    let name = Name::of(text);
    is_surely_secret(text) || name.0.last().is_some_and(|word| word == "pass")
}

/// A name's words, without capitals, digits, and what says no more of a secret than how it is written.
struct Name(Vec<String>);

impl Name {
    /// Words begin with capitals, or behind whatever is no letter.
    fn of(name: &str) -> Self {
        let first = name.char_indices().rev().take(MOST).last();
        let name = first
            .and_then(|(first, _)| name.get(first..))
            .unwrap_or_default();
        let mut words: Vec<String> = Vec::new();
        let mut word = String::new();
        let mut letters = name.chars().peekable();
        let mut before = ' ';
        while let Some(letter) = letters.next() {
            let is_lower_next = letters.peek().is_some_and(char::is_ascii_lowercase);
            // `APIKey` has two.
            let begins =
                letter.is_ascii_uppercase() && (!before.is_ascii_uppercase() || is_lower_next);
            if begins || !letter.is_ascii_alphabetic() {
                words.push(mem::take(&mut word));
            }
            if letter.is_ascii_alphabetic() {
                word.push(letter.to_ascii_lowercase());
            }
            before = letter;
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        while words.len() > 1
            && words
                .last()
                .is_some_and(|last| BEHIND.contains(&last.as_str()))
        {
            words.pop();
        }
        Self(words)
    }

    /// Whether it, or one of which it is the plural, ends so.
    fn ends(&self, with: &[&str]) -> bool {
        let all = self.0.concat();
        let is = |one: &str| with.iter().any(|end| one.ends_with(end));
        is(&all) || all.strip_suffix('s').is_some_and(is)
    }

    /// Whether its last words are something that is no secret: an `enabledPin` is no `ledPin`.
    fn is_open(&self) -> bool {
        (0..self.0.len()).any(|first| {
            let last = self.0.get(first..).unwrap_or_default().concat();
            let last = last.strip_suffix('s').unwrap_or(&last);
            OPEN.iter()
                .any(|open| last == open.strip_suffix('s').unwrap_or(open))
        })
    }
}
