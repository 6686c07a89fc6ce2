//! What a person is asked who has said nothing.

use std::{io, path::PathBuf};

use tokio::task::spawn_blocking;

use crate::{
    commands::{Context, given},
    failure::Failure,
    provision::{
        Secret, Wishes,
        network::{Security, Wifi},
        public_key,
    },
    ui::render::configure::{self as say, Network},
};

/// Files of public keys that are offered.
const MOST_KEYS: usize = 16;

/// Asks one question in a thread of its own.
pub(super) async fn question<T: Send + 'static>(
    ask: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    match spawn_blocking(ask).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if error.kind() != io::ErrorKind::Interrupted => Err(error.into()),
        Ok(Err(_)) | Err(_) => Err(Failure::interrupted().hint("nothing was changed")),
    }
}

/// Asks for all that most devices need.
pub(super) async fn ask(context: &Context) -> Result<Wishes, Failure> {
    let mut wishes = Wishes::default();
    let hostname = question(say::hostname).await?;
    if !hostname.is_empty() {
        wishes.keys.push(("hostname", hostname));
    }
    let is_development = question(say::development).await?;
    wishes
        .keys
        .push(("developmentMode", is_development.to_string()));
    let files = public_keys(context);
    if !files.is_empty() {
        let offered = files.clone();
        let chosen = question(move || say::ssh_key(&offered)).await?;
        if let Some(path) = chosen.and_then(|index| files.get(index)) {
            let text = given::text(context, path)?;
            wishes.ssh_keys = public_key(&path.display().to_string(), &text)?;
        }
    }
    if question(say::network).await? == Network::Wifi {
        wishes.connections.push(wifi().await?.connection()?);
    }
    Ok(wishes)
}

async fn wifi() -> Result<Wifi, Failure> {
    let ssid = question(say::wifi_name).await?;
    let is_hidden = question(say::wifi_hidden).await?;
    let named = ssid.clone();
    let key = question(move || say::wifi_key(&named)).await?;
    let security = if key.is_empty() {
        Security::Open
    } else {
        Security::Wpa2(Secret::new(key))
    };
    Ok(Wifi {
        ssid: ssid.into_bytes(),
        is_hidden,
        security,
    })
}

/// Public keys of this person, by their names.
fn public_keys(context: &Context) -> Vec<PathBuf> {
    let home = context.environment.variable("HOME").map(PathBuf::from);
    let entries = home.and_then(|home| fs_err::read_dir(home.join(".ssh")).ok());
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut keys: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "pub"))
        .collect();
    keys.sort();
    keys.truncate(MOST_KEYS);
    keys
}
