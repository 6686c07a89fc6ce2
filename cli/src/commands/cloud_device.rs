//! Devices that are not in the local network: found by their uuid, and entered through the tunnel of their fleet's cloud.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use crate::{
    cloud::{self, Account, Cloud, is_whole_uuid},
    commands::{Context, enter::Entry},
    discovery::{Device, Origin, Selector, selector::Target},
    env::{OSCLI_CLOUD, OSCLI_TOKEN, Paths},
    failure::{Failure, Kind},
    transport::cloud_tunnel::{CloudTunnel, Token},
    ui::Console,
};

/// Digits of a uuid by which a device is called, as everywhere in the ecosystem.
const SHORT: usize = 7;
/// What `-` stands for.
const STDIN: &str = "/dev/stdin";

/// The account of the person, as far as it is told: one whose cloud nobody has named is used only where the cloud is wanted.
pub(super) fn account(context: &Context, entry: &Entry) -> Result<Option<Account>, Failure> {
    let account = any_account(context, entry)?;
    Ok(account.filter(|account| entry.remote || !account.is_guess))
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
        (None, Some(path)) => Paths::absolute(&context.environment.current_dir, path),
    };
    let reading = spawn_blocking(move || cloud::token_in(&path));
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
        return Err(Failure::new(Kind::Usage, words).hint(token_hint()));
    };
    find(context, &account, prefix).await
}

/// The same, after nobody in the local network has answered; what that came to is the answer where the cloud cannot be asked.
pub(super) async fn instead(
    context: &Context,
    entry: &Entry,
    selector: &Selector,
    nobody: Failure,
) -> Result<Device, Failure> {
    let (account, prefix, nobody) = elsewhere(context, entry, selector, nobody)?;
    tell(&context.console, &selector.to_string(), &account);
    let found = find(context, &account, prefix).await;
    // That is told apart from what the cloud came to.
    found.map_err(|failure| failure.hint(nobody.message()))
}

/// The same for who only has to know which one it is: whoever connects says where that leads.
pub(super) async fn instead_unsaid(
    context: &Context,
    selector: &Selector,
    nobody: Failure,
) -> Result<Device, Failure> {
    let entry = Entry::default();
    let (account, prefix, _) = elsewhere(context, &entry, selector, nobody)?;
    find(context, &account, prefix).await
}

/// The way to a port of a device that nobody in the local network answers to.
pub(super) fn way_instead(
    context: &Context,
    selector: &Selector,
    port: u16,
    nobody: Failure,
) -> Result<CloudTunnel, Failure> {
    let entry = Entry::default();
    let (account, uuid, nobody) = elsewhere(context, &entry, selector, nobody)?;
    if !is_whole_uuid(uuid) {
        return Err(nobody);
    }
    tell(&context.console, uuid, &account);
    Ok(account.tunnel(uuid, port))
}

/// The account by which a device may be reached elsewhere, and the digits by which it is known there.
fn elsewhere<'a>(
    context: &Context,
    entry: &Entry,
    selector: &'a Selector,
    nobody: Failure,
) -> Result<(Account, &'a str, Failure), Failure> {
    let Some(prefix) = selector.uuid_prefix() else {
        return Err(nobody);
    };
    match any_account(context, entry) {
        Ok(Some(account)) if account.is_guess => Err(nobody.hint(format!(
            "one that is elsewhere is reached through its cloud: --remote sends the token that balena-cli keeps to {0}, {OSCLI_CLOUD}={0} lets \
             every command do so",
            account.domain
        ))),
        Ok(Some(account)) => Ok((account, prefix, nobody)),
        Ok(None) => Err(nobody.hint(format!(
            "one that is elsewhere is reached through its cloud: {}",
            token_hint()
        ))),
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

fn token_hint() -> String {
    format!("{OSCLI_TOKEN} or --token-file FILE is a token of it, {OSCLI_CLOUD} its domain")
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
    if account.is_guess {
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
