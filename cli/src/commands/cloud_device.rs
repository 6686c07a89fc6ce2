//! Devices that are not in the local network: found by their uuid, and entered through the tunnel of their fleet's cloud.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use crate::{
    cloud::{self, Account, Cloud, is_whole_uuid},
    commands::{
        Context,
        enter::{Entry, Sought},
        ssh_device,
    },
    discovery::{Device, DiscoveryError, Origin, Selector, selector::Target},
    env::{OSCLI_CLOUD, OSCLI_TOKEN},
    failure::{Failure, Kind},
    transport::cloud_tunnel::Token,
    ui::Console,
};

/// Digits of a uuid by which a device is called, as everywhere in the ecosystem.
const SHORT: usize = 7;
/// What `-` stands for.
const STDIN: &str = "/dev/stdin";

/// Who looks for a device.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asker<'a> {
    /// A command of ours, with what a person has said to it.
    Command(&'a Entry),
    /// A plain tool that only has to know which one it is.
    Naming,
    /// A plain tool that connects.
    Connecting,
}

/// Where a device is.
#[derive(Debug)]
pub(super) enum Found {
    /// In the local network.
    Here(Device),
    /// In a cloud, which this account opens.
    Elsewhere(Device, Account),
}

impl Found {
    pub(super) fn device(self) -> Device {
        match self {
            Self::Here(device) | Self::Elsewhere(device, _) => device,
        }
    }
}

/// The account of the person, as far as it is told: one whose cloud nobody has named is used only where the cloud is wanted.
pub(super) fn account(context: &Context, entry: &Entry) -> Result<Option<Account>, Failure> {
    let account = any_account(context, entry)?;
    Ok(account.filter(|account| entry.sought == Sought::Elsewhere || !account.is_unnamed))
}

fn any_account(context: &Context, entry: &Entry) -> Result<Option<Account>, Failure> {
    let (token, cloud) = (entry.token.clone(), entry.cloud.clone());
    Ok(Account::of(&context.environment, token, cloud)?)
}

/// The token of the file that was named, which may be a pipe: it is read once.
pub(super) async fn token(context: &Context, entry: &Entry) -> Result<Option<Token>, Failure> {
    let path = match (&entry.token, &entry.token_file) {
        (Some(token), _) => return Ok(Some(token.clone())),
        (None, None) => return Ok(None),
        (None, Some(path)) if path == Path::new("-") => PathBuf::from(STDIN),
        (None, Some(path)) => path.clone(),
    };
    let current_dir = context.environment.current_dir.clone();
    let reading = spawn_blocking(move || cloud::token_in(&current_dir, &path));
    tokio::select! {
        read = reading => Ok(Some(read.map_err(io::Error::other)??)),
        () = context.interrupt.cancelled() => Err(Failure::interrupted()),
    }
}

/// The device of that name in the cloud, for somebody who wants it there.
pub(super) async fn wanted(
    context: &Context,
    entry: &Entry,
    selector: &Selector,
) -> Result<Device, Failure> {
    let Some(prefix) = selector.uuid_prefix() else {
        let what = match selector.target {
            Target::Ip { .. } => "an address of the local network",
            Target::Label(_) => "a name of the local network",
        };
        let words = format!("{selector} is {what}: a cloud knows devices by their uuids");
        return Err(Failure::new(Kind::Usage, words)
            .hint("name its uuid, or at least the first 7 digits of it"));
    };
    let Some(account) = account(context, entry)? else {
        let words = "nobody lets us into the device's cloud";
        return Err(Failure::new(Kind::Usage, words).hint(token_hint(Asker::Command(entry))));
    };
    find(context, &account, prefix).await
}

/// The device in the local network, else in its cloud. What the former came to is the answer where the cloud cannot be asked.
pub(super) async fn here_or_elsewhere(
    context: &Context,
    asker: Asker<'_>,
    selector: &Selector,
    in_words: impl FnOnce(Failure) -> Failure,
) -> Result<Found, Failure> {
    let nobody = match ssh_device::look(context, selector).await {
        Err(nobody @ DiscoveryError::NotFound { .. }) => in_words(nobody.into()),
        Err(error) => return Err(in_words(error.into())),
        Ok(device) => return Ok(Found::Here(device)),
    };
    let (account, prefix, nobody) = elsewhere(context, asker, selector, nobody)?;
    match asker {
        Asker::Command(_) => tell(&context.console, &selector.to_string(), &account),
        Asker::Connecting if is_whole_uuid(prefix) => tell(&context.console, prefix, &account),
        // Whoever connects says where that leads.
        Asker::Naming => {}
        Asker::Connecting => return Err(nobody),
    }
    let device = match find(context, &account, prefix).await {
        Ok(device) => device,
        // That is told apart from what the cloud came to.
        Err(failure) if matches!(asker, Asker::Command(_)) => {
            return Err(failure.because(nobody.message()));
        }
        Err(failure) => return Err(failure),
    };
    Ok(Found::Elsewhere(device, account))
}

/// The account by which a device may be reached elsewhere, and the digits by which it is known there.
fn elsewhere<'a>(
    context: &Context,
    asker: Asker<'_>,
    selector: &'a Selector,
    nobody: Failure,
) -> Result<(Account, &'a str, Failure), Failure> {
    let entry = match asker {
        Asker::Command(entry) => entry,
        Asker::Naming | Asker::Connecting => &Entry::default(),
    };
    let Some(prefix) = selector
        .uuid_prefix()
        .filter(|_| entry.sought != Sought::Here)
    else {
        return Err(nobody);
    };
    let through_cloud =
        |how: &str| format!("one that is elsewhere is reached through its cloud: {how}");
    match any_account(context, entry) {
        Ok(Some(account)) if account.is_unnamed => {
            Err(nobody.hint(through_cloud(&unnamed_hint(asker, &account))))
        }
        Ok(Some(account)) => Ok((account, prefix, nobody)),
        Ok(None) => Err(nobody.hint(through_cloud(&token_hint(asker)))),
        // It matters only to who wanted the cloud.
        Err(failure) if entry.token_file.is_none() => {
            Err(nobody.hint(format!("its cloud is not asked: {}", failure.message())))
        }
        Err(failure) => Err(failure),
    }
}

fn tell(console: &Console, called: &str, account: &Account) {
    let text = format!(
        "{called} does not answer in the local network: it is reached through the cloud {}",
        account.domain
    );
    console.say(&text);
}

/// Plain tools have none of our options.
fn token_hint(asker: Asker<'_>) -> String {
    match asker {
        Asker::Command(_) => {
            format!("{OSCLI_TOKEN} or --token-file FILE is a token of it, {OSCLI_CLOUD} its domain")
        }
        Asker::Naming | Asker::Connecting => {
            format!("{OSCLI_TOKEN} is a token of it, {OSCLI_CLOUD} its domain")
        }
    }
}

fn unnamed_hint(asker: Asker<'_>, account: &Account) -> String {
    let domain = &account.domain;
    match asker {
        Asker::Command(_) => format!(
            "--remote sends the token that balena-cli keeps to {domain}, {OSCLI_CLOUD}={domain} lets every command do so"
        ),
        Asker::Naming | Asker::Connecting => {
            format!("{OSCLI_CLOUD}={domain} lets the token that balena-cli keeps be sent there")
        }
    }
}

async fn find(context: &Context, account: &Account, prefix: &str) -> Result<Device, Failure> {
    let uuid = if is_whole_uuid(prefix) {
        prefix.to_ascii_lowercase()
    } else {
        let asking = Cloud::new(account);
        tokio::select! {
            found = asking.device(prefix) => found?,
            () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
        }
    };
    let text = format!("{uuid} is reached through the cloud {}", account.domain);
    if account.is_unnamed {
        let text = format!("{text}, with the token that balena-cli keeps");
        context.console.say(&text);
    } else {
        context.console.detail(&text);
    }
    let name = uuid.get(..SHORT).unwrap_or(&uuid).to_owned();
    Ok(Device::bare(name, Some(uuid), Origin::Cloud))
}

/// The name by which the person is known to the cloud, which is that of an account on devices of the fleet.
pub(super) async fn user(
    console: &Console,
    account: &Account,
    patience: Duration,
) -> Option<String> {
    let cloud = Cloud::new(account);
    let problem = match timeout(patience, cloud.user()).await {
        Ok(Ok(user)) => return user,
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("no answer within {} s", patience.as_secs()),
    };
    let text = format!("the cloud does not say who you are to it: {problem}");
    console.detail(&text);
    None
}
