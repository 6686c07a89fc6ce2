//! Which device answers at a place, and who is shown a key: only the device that was named, and only if it asks for one.

use std::path::PathBuf;

use super::reach::Reached;
use crate::{
    agent::{Agent, AgentError, ApiKey, Kind},
    discovery::{self, Device, Memory, Origin, Places, Selector, selector::Target},
    failure::{self, Failure},
    transport::Endpoint,
};

/// The device that this names.
pub(super) async fn named(
    places: &Places,
    name: &str,
    key: Option<ApiKey>,
) -> Result<Reached, Failure> {
    let selector =
        Selector::parse(name).map_err(|error| Failure::from_error(failure::Kind::Usage, &error))?;
    let device = discovery::resolve(places, &selector, Memory::Use).await?;
    if matches!(selector.target, Target::Ip { .. }) {
        return Ok(identify(device, key).await?);
    }
    let expected = device.uuid.clone();
    // An address that was remembered may belong to another device by now, or to none: no key is shown there.
    let error = match identify(device, None).await {
        Ok(reached) if is_another(&reached.kind, expected.as_deref()) => None,
        Ok(reached) => return Ok(reached),
        Err(error) => Some(error),
    };
    match discovery::resolve(places, &selector, Memory::Ignore).await {
        Ok(device) => Ok(identify(device, key).await?),
        Err(nobody) => Err(unanswered(error, nobody.into(), key.is_some())),
    }
}

fn is_another(kind: &Kind, expected: Option<&str>) -> bool {
    matches!((kind, expected), (Kind::Ours(info), Some(uuid)) if info.uuid != uuid)
}

/// What is said when the network does not know the device, and its address of before was of no use either.
fn unanswered(error: Option<AgentError>, nobody: Failure, has_key: bool) -> Failure {
    match error {
        Some(AgentError::KeyWanted { peer }) if has_key => nobody.hint(format!(
            "{peer} wants an API key and may be another device by now: the key is shown to it only if its address is named"
        )),
        // It names an address, which says more than that nobody answers.
        Some(error) => error.into(),
        None => nobody,
    }
}

/// What answers where the device should be. The key is for a device that is known to be there.
pub(super) async fn identify(device: Device, key: Option<ApiKey>) -> Result<Reached, AgentError> {
    let endpoint = match &device.origin {
        Origin::Simulated { agent_socket, .. } => Endpoint::Unix(agent_socket.clone()),
        Origin::Network | Origin::Given | Origin::Machine | Origin::Cloud => {
            tcp(&device, device.api_port)
        }
    };
    let agent = Agent::new(device.name.clone(), endpoint);
    let (agent, kind) = ask(agent, key).await?;
    Ok(Reached {
        device,
        agent,
        kind,
        line: None,
    })
}

/// What it is. A key is shown to nobody who does not ask for one.
async fn ask(agent: Agent, key: Option<ApiKey>) -> Result<(Agent, Kind), AgentError> {
    match (agent.detect().await, key) {
        (Err(AgentError::KeyWanted { .. }), Some(key)) => {
            let agent = agent.with_key(key);
            let kind = agent.detect().await?;
            Ok((agent, kind))
        }
        (kind, _) => Ok((agent, kind?)),
    }
}

/// The device whose agent listens at a socket of this machine, perhaps at the other end of a tunnel.
pub(super) async fn at_socket(socket: PathBuf, key: Option<ApiKey>) -> Result<Reached, Failure> {
    let agent = Agent::new("the device", Endpoint::Unix(socket));
    let (agent, kind) = match ask(agent, key).await {
        Ok(found) => found,
        Err(AgentError::Transport(error)) => {
            let failure = Failure::from_error(failure::Kind::Device, &error);
            return Err(failure.hint("does os-agent run there? Its socket is for root"));
        }
        Err(error) => return Err(error.into()),
    };
    let (name, uuid) = match &kind {
        Kind::Ours(info) => (info.hostname.clone(), Some(info.uuid.clone())),
        Kind::Reference { .. } => ("the device".to_owned(), None),
    };
    Ok(Reached {
        device: Device::bare(name, uuid, Origin::Given),
        agent,
        kind,
        line: None,
    })
}

/// A port of the device, on all of its addresses.
pub(super) fn tcp(device: &Device, port: u16) -> Endpoint {
    let addresses = device.addresses.iter();
    Endpoint::Tcp(addresses.map(|address| address.with_port(port)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    use super::*;

    const KEY: &str = "0123456789abcdef";

    /// Asks an agent that wants this key, or none; what came of it, and the requests that it was sent.
    async fn asked(
        wanted: Option<&str>,
        key: Option<&str>,
    ) -> (Result<Kind, AgentError>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let info = json!({
            "uuid": "5eee", "name": "x", "hostname": "x", "device_type": "x", "arch": "x", "os_version": "x",
            "agent_version": "x", "compatible_version": "x", "variant": "production", "managed": true, "engine": null,
        });
        let mut requests = Vec::new();
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                let opens = wanted.is_none_or(|key| request.contains(&format!("Bearer {key}\r\n")));
                let (status, body) = if request.starts_with("GET /ping ") {
                    ("200 OK", "OK".to_owned())
                } else if opens {
                    ("200 OK", info.to_string())
                } else {
                    ("401 Unauthorized", String::new())
                };
                requests.push(request);
                let answer = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let agent = Agent::new("x", Endpoint::Unix(socket));
        let key = key.map(|key| ApiKey::parse(key).unwrap());
        let found = tokio::select! {
            found = ask(agent, key) => found.map(|(_, kind)| kind),
            () = serve => unreachable!("it goes on"),
        };
        (found, requests)
    }

    #[tokio::test]
    async fn a_key_is_shown_only_to_who_asks_for_one() {
        let shown = |requests: &[String]| {
            let shown = requests.iter().map(|request| request.contains(KEY));
            shown.collect::<Vec<_>>()
        };
        let (found, requests) = asked(None, Some(KEY)).await;
        assert!(found.is_ok(), "{found:?}");
        assert_eq!(shown(&requests), [false]);
        let (found, requests) = asked(Some(KEY), Some(KEY)).await;
        assert!(found.is_ok(), "{found:?}");
        assert_eq!(shown(&requests), [false, false, false, true]);
        let (found, _) = asked(Some("other"), Some(KEY)).await;
        let refused = found.unwrap_err();
        assert!(
            matches!(refused, AgentError::KeyRefused { .. }),
            "{refused}"
        );
        assert!(!format!("{refused:?}").contains(KEY), "{refused:?}");
        let (found, _) = asked(Some(KEY), None).await;
        let wanted = found.unwrap_err();
        assert!(matches!(wanted, AgentError::KeyWanted { .. }), "{wanted}");
    }

    #[test]
    fn a_key_that_was_not_shown_is_explained() {
        let nobody = || Failure::new(failure::Kind::Device, "nobody");
        let wanted = || {
            Some(AgentError::KeyWanted {
                peer: "x (10.0.0.1:1)".to_owned(),
            })
        };
        let failure = unanswered(wanted(), nobody(), true);
        assert_eq!(failure.message(), "nobody");
        assert!(failure.hints()[0].contains("10.0.0.1"), "{failure:?}");
        let failure = unanswered(wanted(), nobody(), false);
        assert!(
            failure.message().contains("wants an API key"),
            "{failure:?}"
        );
        assert_eq!(unanswered(None, nobody(), true).message(), "nobody");
    }
}
