//! Devices that are not in the local network: found by their uuid, and entered through the tunnel of their fleet's cloud.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use crate::{
    cloud::{self, Account, Cloud, is_whole_uuid},
    commands::{Context, enter::Entry},
    discovery::{Device, Origin, Selector, selector::Target},
    env::{OSCLI_CLOUD, OSCLI_TOKEN, Paths},
    failure::{Failure, Kind},
    transport::cloud_tunnel::Token,
    ui::Console,
};

/// Digits of a uuid by which a device is called, as everywhere in the ecosystem.
const SHORT: usize = 7;
/// What `-` stands for.
const STDIN: &str = "/dev/stdin";

/// What becomes of a name that nobody in the local network answers to, or that nobody there is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Choice<'a> {
    /// The cloud is asked for the device of this uuid, or of these digits that one begins with.
    Cloud(&'a str),
    /// A cloud cannot know it by this.
    NoUuid,
    /// Nobody lets us into a cloud.
    NoAccount,
}

fn choice(selector: &Selector, has_account: bool) -> Choice<'_> {
    match selector.uuid_prefix() {
        None => Choice::NoUuid,
        Some(_) if !has_account => Choice::NoAccount,
        Some(prefix) => Choice::Cloud(prefix),
    }
}

/// The account of the person, as far as it is told.
pub(super) fn account(context: &Context, entry: &Entry) -> Result<Option<Account>, Failure> {
    Ok(Account::of(&context.environment, entry.token.clone())?)
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
    let account = account(context, entry)?;
    match (choice(selector, account.is_some()), account) {
        (Choice::Cloud(prefix), Some(account)) => find(context, &account, prefix).await,
        (Choice::NoUuid, _) => {
            let what = match selector.target {
                Target::Ip { .. } => "an address of the local network",
                Target::Label(_) => "a name of the local network",
            };
            let words = format!("{selector} is {what}: a cloud knows devices by their uuids");
            Err(Failure::new(Kind::Usage, words)
                .hint("name its uuid, or at least the first 7 digits of it"))
        }
        (Choice::Cloud(_) | Choice::NoAccount, _) => Err(Failure::new(
            Kind::Usage,
            "nobody lets us into the device's cloud",
        )
        .hint(token_hint())),
    }
}

/// The same, after nobody in the local network has answered; what that came to is the answer where the cloud cannot be asked.
pub(super) async fn instead(
    context: &Context,
    entry: &Entry,
    selector: &Selector,
    nobody: Failure,
) -> Result<Device, Failure> {
    let account = match account(context, entry) {
        Ok(account) => account,
        // It matters only to who wanted the cloud.
        Err(failure) if entry.token_file.is_none() => {
            return Err(nobody.hint(format!("its cloud is not asked: {}", failure.message())));
        }
        Err(failure) => return Err(failure),
    };
    match (choice(selector, account.is_some()), account) {
        (Choice::Cloud(prefix), Some(account)) => {
            let text = format!(
                "{selector} does not answer in the local network: it is reached through the cloud {}",
                account.domain
            );
            context.console.say(&text);
            find(context, &account, prefix).await
        }
        (Choice::NoAccount, _) => Err(nobody.hint(format!(
            "one that is elsewhere is reached through its cloud: {}",
            token_hint()
        ))),
        (Choice::Cloud(_) | Choice::NoUuid, _) => Err(nobody),
    }
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
    context.console.detail(&text);
    Ok(Device {
        name: uuid.get(..SHORT).unwrap_or(&uuid).to_owned(),
        uuid: Some(uuid),
        addresses: Vec::new(),
        api_port: agent_api::API_PORT,
        engine_port: agent_api::ENGINE_PORT,
        ssh_port: agent_api::SSH_PORT,
        device_type: None,
        os_version: None,
        agent_version: None,
        variant: None,
        ssh_fingerprint: None,
        origin: Origin::Cloud,
    })
}

/// The name by which the person is known to the cloud, which is that of an account on devices of the fleet.
pub(super) async fn user(console: &Console, account: &Account) -> Option<String> {
    match Cloud::new(account).user().await {
        Ok(user) => user,
        Err(error) => {
            let text = format!("the cloud does not say who you are to it: {error}");
            console.detail(&text);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_asked_for_uuids_by_those_whom_it_lets_in() {
        let chosen = |typed: &str, has_account| {
            let selector = Selector::parse(typed).unwrap();
            format!("{:?}", choice(&selector, has_account))
        };
        let uuid = "8f3b8bb7510f4ba0b3a4e0aa042d3713";
        for (typed, has_account, expected) in [
            (uuid, true, format!("Cloud({uuid:?})")),
            ("8F3B8BB", true, "Cloud(\"8f3b8bb\")".to_owned()),
            (uuid, false, "NoAccount".to_owned()),
            ("8f3b8b", true, "NoUuid".to_owned()),
            ("kitchen", true, "NoUuid".to_owned()),
            ("10.0.0.1", true, "NoUuid".to_owned()),
            ("fe80::1%2", false, "NoUuid".to_owned()),
        ] {
            assert_eq!(chosen(typed, has_account), expected, "{typed}");
        }
    }
}
