//! What a person is asked who has said nothing.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use super::networks::unknown_network;
use crate::{
    commands::{Context, given},
    failure::Failure,
    provision::{
        Secret, Wishes,
        network::{Authority, Enterprise, Proof, Security, Wifi},
        public_key,
    },
    ui::render::configure::{self as say, Network, Proved},
};

/// Files of public keys that are offered.
const MOST_KEYS: usize = 16;

/// Asks one question in a thread of its own.
pub(in crate::commands) async fn question<T: Send + 'static>(
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
    let network = question(say::network).await?;
    if network != Network::Ethernet {
        wishes
            .connections
            .push(wifi(context, network).await?.connection()?);
    }
    Ok(wishes)
}

async fn wifi(context: &Context, network: Network) -> Result<Wifi, Failure> {
    let ssid = question(say::wifi_name).await?;
    let is_hidden = question(say::wifi_hidden).await?;
    let security = if network == Network::Enterprise {
        Security::Enterprise(enterprise(context, &ssid).await?)
    } else {
        let named = ssid.clone();
        let key = question(move || say::wifi_key(&named)).await?;
        if key.is_empty() {
            Security::Open
        } else {
            Security::Wpa2(Secret::new(key))
        }
    };
    Ok(Wifi {
        ssid: ssid.into_bytes(),
        is_hidden,
        security,
    })
}

/// A name and a password; who proves its name by a certificate says so by options.
async fn enterprise(context: &Context, ssid: &str) -> Result<Enterprise, Failure> {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let named = ssid.to_owned();
    let identity = question(move || say::identity(&named)).await?;
    let anonymous = some(question(say::anonymous_identity).await?);
    let proved = question(say::proved).await?;
    let named = ssid.to_owned();
    let password = Secret::new(question(move || say::wifi_password(&named)).await?);
    let proof = match proved {
        Proved::Peap => Proof::Peap(password),
        Proved::Ttls => Proof::Ttls(password),
    };
    let certificates = some(question(say::authority).await?)
        .map(|path| given::bytes(context, Path::new(&path)))
        .transpose()?;
    let domain = some(question(say::domain).await?);
    let authority = match (certificates, domain) {
        (Some(certificates), domain) => Authority::These(certificates, domain),
        (None, Some(domain)) => Authority::Usual(domain),
        (None, None) => {
            let named = ssid.to_owned();
            if !question(move || say::any_server(&named)).await? {
                return Err(unknown_network());
            }
            Authority::Anybody
        }
    };
    Ok(Enterprise {
        identity,
        anonymous,
        proof,
        authority,
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
