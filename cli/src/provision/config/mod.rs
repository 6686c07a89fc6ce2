//! config.json: read, changed, and written again with what is not understood in it as it was.
//!
//! In: the file's bytes, keys with points between their parts. Out: values, bytes. Pure. Order and form stay; a file in which nothing
//! changes is not written anew. Values of secret keys are in no error.

mod hidden;
mod keys;
mod named;
#[cfg(test)]
mod tests;
mod texts;
mod values;
mod written;

use serde_json::{Map, Value};

pub use hidden::{HIDDEN, is_never_typed, is_secret, shown};
use keys::find;
use written::Spelled;

/// Bytes of a config.json.
pub const MOST_BYTES: u64 = 1024 * 1024;

/// Why a configuration is not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not one.
    #[error("config.json is no JSON object: {0}")]
    NoObject(String),
    /// A key that nothing reads.
    #[error("config.json has no key `{key}`")]
    Unknown {
        /// As typed.
        key: String,
        /// Keys that it may be meant for.
        near: Vec<&'static str>,
    },
    /// A value that the key cannot have.
    #[error("`{key}` wants {wanted}")]
    Value {
        /// The key.
        key: String,
        /// What it may be.
        wanted: String,
    },
    /// A value that holds what no device may have.
    #[error("`{0}` holds a private key, which no device may have")]
    PrivateKey(String),
    /// A key that an object has twice.
    #[error("config.json has the key `{0}` twice, and only the last one counts")]
    Twice(String),
    /// A key below one that holds a value.
    #[error("`{key}` cannot be there: `{above}` holds a value of its own")]
    Within {
        /// The key.
        key: String,
        /// The one above.
        above: String,
    },
}

/// What a config.json holds.
#[derive(Debug, Clone, Default)]
pub struct Document {
    keys: Map<String, Value>,
    /// As it was read, until something changes.
    text: Option<Vec<u8>>,
    /// How its numbers were written.
    spelled: Option<Spelled>,
    /// A key that it had twice.
    twice: Option<String>,
    /// Whether it has a line for each key.
    is_wide: bool,
}

impl Document {
    /// Whether it names nobody who may log in by SSH, which devices take as if nothing was said of it.
    #[must_use]
    pub fn has_empty_keys(&self) -> bool {
        let keys = self.get("os.sshKeys").and_then(Value::as_array);
        keys.is_some_and(Vec::is_empty)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError::NoObject`], without anything of the file.
    pub fn read(bytes: &[u8]) -> Result<Self, ConfigError> {
        let no_object = |words: String| ConfigError::NoObject(words);
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let value: Value = serde_json::from_slice(&written::bounded(text)).map_err(|error| {
            // Its words may hold a value; the place does not.
            no_object(format!("line {}, column {}", error.line(), error.column()))
        })?;
        let Value::Object(keys) = value else {
            return Err(no_object("it is another value".to_owned()));
        };
        let is_wide = text.trim_ascii().contains(&b'\n');
        let (spelled, twice) = written::spelled(text);
        let text = Some(bytes.to_owned());
        Ok(Self {
            keys,
            text,
            spelled,
            twice,
            is_wide,
        })
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let mut text = String::new();
        let wide = self.is_wide.then_some(0);
        let keys = Value::Object(self.keys.clone());
        written::write(&keys, self.spelled.as_ref(), wide, &mut text);
        text.into_bytes()
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &Map<String, Value> {
        &self.keys
    }

    /// All keys, with [`HIDDEN`] in the place of secrets.
    #[must_use]
    pub fn without_secrets(&self) -> Value {
        hidden::shown_all(Value::Object(self.keys.clone()))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        let mut parts = parts(path).into_iter();
        let mut value = self.keys.get(parts.next()?)?;
        for part in parts {
            value = value.as_object()?.get(part)?;
        }
        Some(value)
    }

    /// Takes what was typed for a key. A key that is known has a type; an unknown one is refused, unless `any`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn write(&mut self, path: &str, typed: &str, any: bool) -> Result<(), ConfigError> {
        let value = match find(path) {
            Some((key, name)) => {
                if let Some(name) = name {
                    // What holds of all of them holds of one.
                    let text = Value::String(typed.to_owned());
                    let one =
                        Value::Object([(name.to_owned(), text.clone())].into_iter().collect());
                    values::check(key.kind, &one)
                        .map_err(|wanted| wants(key.name, &one, wanted))?;
                    text
                } else {
                    values::understand(key.kind, typed)
                        .map_err(|wanted| wants(path, &Value::String(typed.to_owned()), wanted))?
                }
            }
            None if any => untyped(self.get(path), typed),
            None => return Err(unknown(path)),
        };
        self.set(path, value)
    }

    /// Sets a key of a value that is known to fit.
    ///
    /// # Errors
    /// [`ConfigError::Within`].
    pub fn set(&mut self, path: &str, value: Value) -> Result<(), ConfigError> {
        if self.get(path) == Some(&value) {
            return Ok(());
        }
        let parts = parts(path);
        let mut map = &mut self.keys;
        let Some((last, above)) = parts.split_last() else {
            return Err(unknown(path));
        };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(unknown(path));
        }
        for part in above {
            let below = map
                .entry(*part)
                .or_insert_with(|| Value::Object(Map::new()));
            map = below.as_object_mut().ok_or_else(|| ConfigError::Within {
                key: path.to_owned(),
                above: (*part).to_owned(),
            })?;
        }
        map.insert((*last).to_owned(), value);
        self.text = None;
        Ok(())
    }

    /// Takes a key away. Whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        let parts = parts(path);
        let Some((last, above)) = parts.split_last() else {
            return false;
        };
        let mut map = Some(&mut self.keys);
        for part in above {
            map = map.and_then(|map| map.get_mut(*part)?.as_object_mut());
        }
        let is_gone = map.is_some_and(|map| map.shift_remove(*last).is_some());
        if is_gone {
            self.text = None;
        }
        is_gone
    }

    /// What a known key wants that holds what it cannot.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        let known = find(path).filter(|(_, name)| name.is_none());
        match known.zip(self.get(path)) {
            Some(((key, _), value)) => {
                values::check(key.kind, value).map_err(|wanted| wants(path, value, wanted))
            }
            None => Ok(()),
        }
    }

    /// A key that it had twice when it was read: nobody knows which one was meant.
    #[must_use]
    pub fn twice(&self) -> Option<ConfigError> {
        self.twice.clone().map(ConfigError::Twice)
    }

    /// Keys of it that are known, and hold what they cannot: each with what it wants. Then one that it has twice.
    #[must_use]
    pub fn wrong(&self) -> Vec<ConfigError> {
        let wrong = |name| self.check(name).err();
        names().filter_map(wrong).chain(self.twice()).collect()
    }
}

/// Names of all keys.
pub fn names() -> impl Iterator<Item = &'static str> {
    keys::ALL.iter().map(|key| key.name)
}

/// A name in a map may have points of its own.
fn parts(path: &str) -> Vec<&str> {
    match find(path) {
        Some((key, Some(name))) => key.name.split('.').chain([name]).collect(),
        _ => path.split('.').collect(),
    }
}

/// A value keeps the type that it has; a new one is what it looks like, unless it would read otherwise when written.
fn untyped(before: Option<&Value>, typed: &str) -> Value {
    let text = || Value::String(typed.to_owned());
    if matches!(before, Some(Value::String(_))) {
        return text();
    }
    match serde_json::from_str::<Value>(typed) {
        // Its quotes are part of what was typed, as they are the next time.
        Ok(Value::String(_)) => text(),
        Ok(value) if value.is_object() || value.is_array() || is_written_so(&value, typed) => value,
        _ => text(),
    }
}

/// `007` would be written as `7`.
fn is_written_so(value: &Value, typed: &str) -> bool {
    serde_json::to_string(value).is_ok_and(|written| written == typed)
}

fn wants(key: &str, value: &Value, wanted: String) -> ConfigError {
    let key = key.to_owned();
    if value.as_str().is_some_and(values::is_private) {
        return ConfigError::PrivateKey(key);
    }
    ConfigError::Value { key, wanted }
}

fn unknown(path: &str) -> ConfigError {
    ConfigError::Unknown {
        key: path.to_owned(),
        near: keys::near(path),
    }
}
