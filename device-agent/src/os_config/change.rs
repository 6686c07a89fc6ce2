//! What becomes of config.json when a device joins a fleet, leaves it, or is given a key.
//!
//! In: its keys, and what is asked. Out: its keys afterwards. Pure. The rules are the reference's: keys that belong to a fleet go,
//! keys of a new one come, everything else stays; a key that a device had for a cloud is remembered under the cloud's host, for the
//! day on which it comes back.

use serde_json::{Map, Value};
use thiserror::Error;

use super::schema::Schema;
use crate::configure::certificates;

/// Bytes of what is joined with.
const MAX_INPUT: usize = 1024 * 1024;

const ENDPOINT: &str = "apiEndpoint";
const KEY: &str = "deviceApiKey";
const KEYS: &str = "deviceApiKeys";
const ROOT_CERTIFICATES: &str = "balenaRootCA";

/// Why nothing can be made of it.
#[derive(Debug, Error)]
pub(crate) enum ChangeError {
    /// Not JSON; which part of it is not told, since keys are in it.
    #[error("Reading JSON failed: line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Of another kind, or much too long.
    #[error("Not an object")]
    NoObject,
    /// There is nobody to join.
    #[error("`apiEndpoint` not found")]
    NoEndpoint,
    /// Not an address.
    #[error("`apiEndpoint` should be a string that begins with https:// or http://")]
    Endpoint,
    /// Not text.
    #[error("`deviceApiKey` should be a string")]
    Key,
    /// Not an object of texts.
    #[error("`deviceApiKeys` should be a map object of strings")]
    Keys,
    /// Not base64 of PEM.
    #[error("`balenaRootCA` should be a certificate in PEM, in base64")]
    RootCertificates,
}

/// Where a device's cloud is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cloud {
    /// `https://api.example`.
    pub(super) endpoint: String,
    /// The key under which it may know the device; sent to nobody else.
    pub(super) key: Option<String>,
    /// PEM of certificates that are trusted beside the system's.
    pub(super) root_certificates: Option<String>,
}

/// The cloud that config.json names; `None` in no fleet.
pub(super) fn cloud(config: &Map<String, Value>) -> Result<Option<Cloud>, ChangeError> {
    let Some(endpoint) = endpoint(config)? else {
        return Ok(None);
    };
    Ok(Some(Cloud {
        key: text(config, KEY, ChangeError::Key)?,
        root_certificates: root_certificates(config)?,
        endpoint,
    }))
}

/// Joins: config.json afterwards, and the cloud to ask before that. A key that this device never had for it is not shown to it.
pub(super) fn join(
    config: &Map<String, Value>,
    input: &str,
    schema: &Schema,
    new_key: &str,
) -> Result<(Map<String, Value>, Cloud), ChangeError> {
    let input = object(input)?;
    let Some(new_endpoint) = endpoint(&input)? else {
        return Err(ChangeError::NoEndpoint);
    };
    let mut joined = config.clone();
    remember_key(&mut joined)?;
    remove(&mut joined, &schema.keys);
    let known = remembered_key(&joined, &new_endpoint)?;
    let key = known.clone().unwrap_or_else(|| new_key.to_owned());
    set_key(&mut joined, &new_endpoint, &key)?;
    for (name, value) in input {
        joined.insert(name, value);
    }
    let given = text(&joined, KEY, ChangeError::Key)?.filter(|given| *given != key);
    let cloud = Cloud {
        key: given.or(known),
        root_certificates: root_certificates(&joined)?,
        endpoint: new_endpoint,
    };
    Ok((joined, cloud))
}

/// Leaves: config.json afterwards.
pub(super) fn leave(
    config: &Map<String, Value>,
    schema: &Schema,
) -> Result<Map<String, Value>, ChangeError> {
    let mut left = config.clone();
    remember_key(&mut left)?;
    remove(&mut left, &schema.keys);
    Ok(left)
}

/// What becomes of a device that is to have a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keyed {
    /// It is in no fleet.
    Unconfigured,
    /// It has one.
    Already,
    /// It had one for this cloud before.
    Reused(Map<String, Value>),
    /// It gets a new one.
    New(Map<String, Value>),
}

/// Gives a device of a fleet a key, unless it has one.
pub(super) fn generate_key(
    config: &Map<String, Value>,
    new_key: &str,
) -> Result<Keyed, ChangeError> {
    let Some(endpoint) = endpoint(config)? else {
        return Ok(Keyed::Unconfigured);
    };
    if text(config, KEY, ChangeError::Key)?.is_some() {
        return Ok(Keyed::Already);
    }
    let mut keyed = config.clone();
    let known = remembered_key(config, &endpoint)?;
    set_key(&mut keyed, &endpoint, known.as_deref().unwrap_or(new_key))?;
    Ok(match known {
        Some(_) => Keyed::Reused(keyed),
        None => Keyed::New(keyed),
    })
}

/// config.json with what the cloud sets in it.
pub(super) fn overridden(
    config: &Map<String, Value>,
    overrides: &Map<String, Value>,
) -> Map<String, Value> {
    let mut config = config.clone();
    for (name, value) in overrides {
        config.insert(name.clone(), value.clone());
    }
    config
}

fn object(text: &str) -> Result<Map<String, Value>, ChangeError> {
    if text.len() > MAX_INPUT {
        return Err(ChangeError::NoObject);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(keys)) => Ok(keys),
        Ok(_) => Err(ChangeError::NoObject),
        Err(error) => Err(ChangeError::Json {
            line: error.line(),
            column: error.column(),
        }),
    }
}

/// A text; an empty one is none.
fn text(
    keys: &Map<String, Value>,
    name: &str,
    wrong: ChangeError,
) -> Result<Option<String>, ChangeError> {
    match keys.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if !text.contains(char::is_control) => Ok(Some(text.clone())),
        Some(_) => Err(wrong),
    }
}

fn endpoint(keys: &Map<String, Value>) -> Result<Option<String>, ChangeError> {
    let endpoint = text(keys, ENDPOINT, ChangeError::Endpoint)?;
    match &endpoint {
        Some(url) if host(url).is_none() => Err(ChangeError::Endpoint),
        _ => Ok(endpoint),
    }
}

fn root_certificates(keys: &Map<String, Value>) -> Result<Option<String>, ChangeError> {
    let wrong = || ChangeError::RootCertificates;
    let base64 = text(keys, ROOT_CERTIFICATES, wrong())?;
    let pem = |base64: String| certificates(&base64).ok_or_else(wrong);
    base64.map(pem).transpose()
}

/// What an address is without its scheme: under it keys are remembered.
fn host(endpoint: &str) -> Option<&str> {
    let rest = endpoint
        .strip_prefix("https://")
        .or_else(|| endpoint.strip_prefix("http://"))?;
    (!rest.is_empty()).then_some(rest)
}

fn remember_key(config: &mut Map<String, Value>) -> Result<(), ChangeError> {
    let key = text(config, KEY, ChangeError::Key)?;
    // Of a broken address nothing is remembered, and it does not hold the device.
    let endpoint = text(config, ENDPOINT, ChangeError::Endpoint).ok().flatten();
    let (Some(key), Some(host)) = (key, endpoint.as_deref().and_then(host)) else {
        return Ok(());
    };
    remember(config, host, &key)
}

fn remember(config: &mut Map<String, Value>, host: &str, key: &str) -> Result<(), ChangeError> {
    let keys = config
        .entry(KEYS)
        .or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(keys) = keys else {
        return Err(ChangeError::Keys);
    };
    keys.insert(host.to_owned(), Value::from(key));
    Ok(())
}

fn remembered_key(
    config: &Map<String, Value>,
    endpoint: &str,
) -> Result<Option<String>, ChangeError> {
    match (config.get(KEYS), host(endpoint)) {
        (None, _) | (_, None) => Ok(None),
        (Some(Value::Object(keys)), Some(host)) => text(keys, host, ChangeError::Keys),
        (Some(_), _) => Err(ChangeError::Keys),
    }
}

fn set_key(config: &mut Map<String, Value>, endpoint: &str, key: &str) -> Result<(), ChangeError> {
    config.insert(KEY.to_owned(), Value::from(key));
    match host(endpoint) {
        Some(host) => remember(config, host, key),
        None => Err(ChangeError::Endpoint),
    }
}

fn remove(config: &mut Map<String, Value>, keys: &[String]) {
    for key in keys {
        // What stands behind it keeps its place.
        drop(config.shift_remove(key));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn joined(config: &Value, input: &Value) -> (Value, Cloud) {
        let (keys, cloud) = join(&keys(config), &input.to_string(), &Schema::own(), "new").unwrap();
        (Value::Object(keys), cloud)
    }

    #[test]
    fn joining_replaces_what_belongs_to_a_fleet_and_keeps_the_rest() {
        let config = json!({
            "uuid": "u", "hostname": "kitchen", "theirs": {"b": 1, "a": 2},
            "apiEndpoint": "https://old.example", "deviceApiKey": "old", "deviceId": 7, "registered_at": 1, "listenPort": 1,
            "balenaRootCA": "old", "vpnEndpoint": "old"
        });
        let input = json!({"apiEndpoint": "https://new.example", "apiKey": "p", "vpnEndpoint": "new", "developmentMode": false});
        let (config, cloud) = joined(&config, &input);
        assert_eq!(
            config,
            json!({
                "uuid": "u", "hostname": "kitchen", "theirs": {"b": 1, "a": 2}, "vpnEndpoint": "new",
                "deviceApiKeys": {"old.example": "old", "new.example": "new"}, "deviceApiKey": "new",
                "apiEndpoint": "https://new.example", "apiKey": "p", "developmentMode": false
            })
        );
        // Neither the other cloud's key nor one that it cannot know.
        assert_eq!(
            cloud,
            Cloud {
                endpoint: "https://new.example".to_owned(),
                key: None,
                root_certificates: None
            }
        );
        // And back again.
        let (config, cloud) = joined(&config, &json!({"apiEndpoint": "https://old.example"}));
        assert_eq!(
            (cloud.key.as_deref(), &config["deviceApiKey"]),
            (Some("old"), &json!("old"))
        );
        assert_eq!(
            config["deviceApiKeys"],
            json!({"old.example": "old", "new.example": "new"})
        );
        assert_eq!(config.get("apiKey"), None);
    }

    #[test]
    fn what_nobody_can_join_with_is_refused() {
        let config = keys(&json!({}));
        for (input, words) in [
            ("", "Reading JSON failed: line 1, column 0"),
            (
                r#"{"apiKey":"secret"#,
                "Reading JSON failed: line 1, column 17",
            ),
            ("[]", "Not an object"),
            ("{}", "`apiEndpoint` not found"),
            (r#"{"apiEndpoint":""}"#, "`apiEndpoint` not found"),
            (
                r#"{"apiEndpoint":"api.example"}"#,
                "`apiEndpoint` should be a string that begins with https:// or http://",
            ),
            (
                r#"{"apiEndpoint":7}"#,
                "`apiEndpoint` should be a string that begins with https:// or http://",
            ),
            (
                r#"{"apiEndpoint":"https://a","balenaRootCA":"no"}"#,
                "`balenaRootCA` should be a certificate in PEM, in base64",
            ),
        ] {
            let error = join(&config, input, &Schema::own(), "new").unwrap_err();
            assert_eq!(error.to_string(), words, "{input}");
        }
        let broken = keys(&json!({"deviceApiKeys": 7}));
        let error = join(
            &broken,
            r#"{"apiEndpoint":"https://a"}"#,
            &Schema::own(),
            "new",
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "`deviceApiKeys` should be a map object of strings"
        );
    }

    #[test]
    fn leaving_keeps_the_device_and_remembers_the_key() {
        let config = json!({"uuid": "u", "apiEndpoint": "https://a.example", "deviceApiKey": "d", "apiKey": "p", "userId": 1, "os": {"sshKeys": []}});
        let left = leave(&keys(&config), &Schema::own()).unwrap();
        assert_eq!(
            Value::Object(left),
            json!({"uuid": "u", "userId": 1, "os": {"sshKeys": []}, "deviceApiKeys": {"a.example": "d"}})
        );
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let generate = |config: &Value| generate_key(&keys(config), "new").unwrap();
        assert_eq!(generate(&json!({})), Keyed::Unconfigured);
        assert_eq!(
            generate(&json!({"apiEndpoint": "https://a", "deviceApiKey": "d"})),
            Keyed::Already
        );
        let Keyed::New(made) = generate(&json!({"apiEndpoint": "https://a"})) else {
            panic!()
        };
        assert_eq!(made["deviceApiKey"], "new");
        let Keyed::Reused(found) =
            generate(&json!({"apiEndpoint": "https://a", "deviceApiKeys": {"a": "k"}}))
        else {
            panic!()
        };
        assert_eq!(found["deviceApiKey"], "k");
    }
}
