//! Creating a container, with the one wish that the client library cannot pass on.
//!
//! Engines before API 1.44 read a MAC address where the library has no place for it, so that one request is made by hand.

use bollard::query_parameters::CreateContainerOptionsBuilder;
use serde_json::Value;

use super::by_hand::{post, unusable};
use super::{Connected, EngineError, SLOW, bounded, encode};

/// The first API that reads MAC addresses from the settings of networks.
const READS_FROM_NETWORKS: (u32, u32) = (1, 44);

/// Creates a container and returns its id. It is in its primary network only.
pub(crate) async fn container(
    connected: &Connected,
    name: &str,
    container: encode::Container,
) -> Result<String, EngineError> {
    if container.mac_address.is_empty() || api(connected) >= READS_FROM_NETWORKS {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let call = connected
            .docker
            .create_container(Some(options), container.body);
        return named(&bounded(SLOW, call).await?.id);
    }
    let body = by_hand(&container)?;
    // A container's name has nothing in it that a query would have to escape.
    let path = format!(
        "/v{}/containers/create?name={name}",
        connected.info.api_version
    );
    let created = async { post(&connected.socket, &path, body).await?.whole().await };
    match tokio::time::timeout(SLOW, created).await {
        Ok(answer) => id(&answer?),
        Err(_) => Err(EngineError::Hanging(SLOW)),
    }
}

fn api(connected: &Connected) -> (u32, u32) {
    let (major, minor) = connected
        .info
        .api_version
        .split_once('.')
        .unwrap_or_default();
    (
        major.parse().unwrap_or_default(),
        minor.parse().unwrap_or_default(),
    )
}

/// The body as older engines read it.
fn by_hand(container: &encode::Container) -> Result<Vec<u8>, EngineError> {
    let mut body = serde_json::to_value(&container.body).map_err(|error| unusable(&error))?;
    if let Value::Object(members) = &mut body {
        members.insert(
            "MacAddress".to_owned(),
            Value::String(container.mac_address.clone()),
        );
    }
    serde_json::to_vec(&body).map_err(|error| unusable(&error))
}

/// The id in an answer; without one there would be a container that nobody knows of.
fn id(answer: &[u8]) -> Result<String, EngineError> {
    let answer: Value = serde_json::from_slice(answer).map_err(|error| unusable(&error))?;
    named(answer.get("Id").and_then(Value::as_str).unwrap_or_default())
}

fn named(id: &str) -> Result<String, EngineError> {
    if id.is_empty() {
        let words = "it created a container and did not say which";
        return Err(EngineError::Unusable(words.to_owned()));
    }
    Ok(id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_an_id_is_an_error() {
        assert_eq!(id(br#"{"Id":"abc","Warnings":[]}"#).unwrap(), "abc");
        for nothing in [
            "",
            "{",
            "[]",
            "null",
            "{}",
            r#"{"Id":""}"#,
            r#"{"Id":7}"#,
            r#"{"id":"abc"}"#,
        ] {
            let error = id(nothing.as_bytes()).unwrap_err();
            assert!(matches!(error, EngineError::Unusable(_)), "{nothing}");
        }
    }
}
