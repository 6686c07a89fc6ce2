//! Takes values out of config.json, leniently: what cannot be used is told, and is as if it were not there.
//!
//! In: the keys. Out: values within bounds, and complaints. Pure.

use serde_json::{Map, Value};

/// A key, or a file beside config.json, that does not say what it could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Names of the objects that it is in and its own, with points between them: `os.sshKeys`.
    pub(crate) key: String,
    /// What is wrong; never what the key holds.
    pub(crate) words: String,
    /// Whether nothing of it can be used.
    pub(crate) is_unusable: bool,
    /// What is so instead, where that is decided.
    pub(crate) instead: Option<&'static str>,
    /// Whether it is a file.
    pub(crate) is_file: bool,
}

/// What takes the values.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    keys: &'a Map<String, Value>,
    complaints: Vec<Complaint>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(keys: &'a Map<String, Value>) -> Self {
        Self {
            keys,
            complaints: Vec::new(),
        }
    }

    /// What was wrong with what was taken.
    pub(super) fn complaints(self) -> Vec<Complaint> {
        self.complaints
    }

    fn complain(&mut self, key: &str, words: String, is_unusable: bool) {
        let complaint = Complaint {
            key: key.to_owned(),
            words,
            is_unusable,
            instead: None,
            is_file: false,
        };
        if !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }

    /// Nothing of this key can be used.
    pub(super) fn unusable(&mut self, key: &str, wanted: &str) {
        self.complain(key, format!("{wanted} is expected"), true);
    }

    /// A part of this key is left out.
    pub(super) fn left_out(&mut self, key: &str, words: String) {
        self.complain(key, words, false);
    }

    /// The value of a key; `null` is none.
    pub(super) fn value(&mut self, key: &str) -> Option<&'a Value> {
        let mut within = self.keys;
        let mut names = key.split('.').peekable();
        let mut above = String::new();
        while let Some(name) = names.next() {
            let value = within.get(name).filter(|value| !value.is_null())?;
            if names.peek().is_none() {
                return Some(value);
            }
            above.push_str(name);
            let Value::Object(inner) = value else {
                self.unusable(&above, "an object");
                return None;
            };
            above.push('.');
            within = inner;
        }
        None
    }

    /// A text that fits; an empty one is none.
    pub(super) fn text(
        &mut self,
        key: &str,
        wanted: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Option<String> {
        match self.value(key)? {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(text) if fits(text.trim()) => Some(text.trim().to_owned()),
            _ => {
                self.unusable(key, wanted);
                None
            }
        }
    }

    /// A switch; its words are as good as JSON's own. What people write for off is taken for it, and only `true` for on: what a
    /// switch opens is not opened by a word that may have been meant otherwise.
    pub(super) fn switch(&mut self, key: &str) -> Option<bool> {
        let switch = match self.value(key)? {
            Value::Bool(switch) => Some(*switch),
            Value::Number(number) if number.as_u64() == Some(0) => Some(false),
            Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
                "" => return None,
                "true" => Some(true),
                "false" | "off" | "no" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if switch.is_none() {
            self.unusable(key, "true or false");
        }
        switch
    }

    /// A whole number from `least` to `most`, or its digits.
    pub(super) fn number(&mut self, key: &str, least: u64, most: u64) -> Option<u64> {
        let number = match self.value(key)? {
            Value::Number(number) => number.as_u64(),
            Value::String(digits) if digits.trim().is_empty() => return None,
            Value::String(digits) => digits.trim().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.unusable(key, &format!("a number from {least} to {most}"));
        }
        number
    }

    /// Words with spaces or commas between them, each fitting, at most `most`. `None` where none is left.
    pub(super) fn words(
        &mut self,
        key: &str,
        wanted: &str,
        most: usize,
        fits: impl Fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let Value::String(text) = self.value(key)? else {
            self.unusable(key, &format!("{wanted}, with spaces between them,"));
            return None;
        };
        let split = |c: char| c.is_whitespace() || c == ',';
        let all = text.split(split).filter(|word| !word.is_empty());
        let mut good: Vec<String> = Vec::new();
        let mut bad = 0_usize;
        for word in all {
            if fits(word) && good.len() < most {
                good.push(word.to_owned());
            } else {
                bad = bad.saturating_add(1);
            }
        }
        match (good.is_empty(), bad) {
            (true, 0) => return None,
            (true, _) => {
                self.unusable(key, &format!("{wanted}, with spaces between them,"));
                return None;
            }
            (false, 0) => {}
            (false, _) => self.left_out(
                key,
                format!("{bad} of its words are left out: {wanted} is expected"),
            ),
        }
        Some(good)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with<T>(keys: &Value, take: impl FnOnce(&mut Reader<'_>) -> T) -> (T, Vec<String>) {
        let mut reader = Reader::new(keys.as_object().unwrap());
        let taken = take(&mut reader);
        let told = reader.complaints().into_iter();
        (
            taken,
            told.map(|told| format!("{}: {}", told.key, told.words))
                .collect(),
        )
    }

    #[test]
    fn a_key_within_what_is_no_object_is_told_once() {
        let keys = json!({"os": {"network": "none"}});
        let (read, told) = with(&keys, |reader| {
            let switch = reader.switch("os.network.wifi.randomMacAddressScan");
            (
                switch,
                reader.text("os.network.connectivity.uri", "a URL", |_| true),
            )
        });
        assert_eq!(read, (None, None));
        assert_eq!(told, ["os.network: an object is expected"]);
    }

    #[test]
    fn numbers_and_switches_may_be_written_as_texts() {
        let keys =
            json!({"a": "48484", "b": 0, "c": -1, "d": " true", "e": "on", "f": null, "g": ""});
        let (numbers, told) = with(&keys, |reader| {
            ["a", "b", "c", "f", "g"].map(|key| reader.number(key, 1, 65535))
        });
        assert_eq!(numbers, [Some(48484), None, None, None, None]);
        assert_eq!(told.len(), 2, "{told:?}");
        let (switches, told) = with(&keys, |reader| {
            ["d", "e", "f", "g"].map(|key| reader.switch(key))
        });
        assert_eq!(switches, [Some(true), None, None, None]);
        assert_eq!(told, ["e: true or false is expected"]);
    }

    #[test]
    fn of_words_the_fitting_ones_stay() {
        let keys = json!({"a": " one,two  three ", "b": "three three", "c": "  ", "d": 7});
        let words = |key: &'static str| {
            with(&keys, |reader| {
                reader.words(key, "a short word", 2, |word| word.len() == 3)
            })
        };
        let (good, told) = words("a");
        assert_eq!(good.unwrap(), ["one", "two"]);
        assert_eq!(told.len(), 1);
        assert_eq!(words("b").0, None);
        assert_eq!(words("b").1.len(), 1);
        assert_eq!(words("c"), (None, Vec::new()));
        assert_eq!(words("d").1.len(), 1);
    }
}
