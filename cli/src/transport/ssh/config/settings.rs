//! Options as they are written: the first value of each that counts for the host.

use std::time::Duration;

use super::values::{self, AlgorithmList, Hop, StrictChecking};

/// Files that may be named for one host; OpenSSH takes as many.
const MOST_FILES: usize = 100;

/// What a configuration says of one host. Nothing is expanded yet; `None` and empty is what it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the options of `ssh_config(5)`")]
pub struct Settings {
    pub host_name: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identity_files: Vec<String>,
    pub certificate_files: Vec<String>,
    pub identities_only: Option<bool>,
    pub identity_agent: Option<String>,
    pub proxy: Option<WrittenProxy>,
    pub host_key_alias: Option<String>,
    pub user_known_hosts_files: Option<Vec<String>>,
    /// `Some(None)` is `none`.
    pub connect_timeout: Option<Option<Duration>>,
    /// `Some(None)` is `none`.
    pub server_alive_interval: Option<Option<Duration>>,
    pub server_alive_count_max: Option<u32>,
    pub strict_host_key_checking: Option<StrictChecking>,
    pub forward_agent: Option<bool>,
    /// A socket in the place of `yes`. As for OpenSSH, a `no` before it stays.
    pub forward_agent_socket: Option<String>,
    pub ciphers: Option<AlgorithmList>,
    pub kex_algorithms: Option<AlgorithmList>,
    pub macs: Option<AlgorithmList>,
    pub host_key_algorithms: Option<AlgorithmList>,
    pub pubkey_accepted_algorithms: Option<AlgorithmList>,
}

/// `ProxyJump` or `ProxyCommand`, whichever came first; only `ProxyJump none` leaves it to a `ProxyCommand` that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenProxy {
    /// `ProxyJump none`.
    NoJump,
    /// `ProxyCommand none`.
    NoCommand,
    /// Hops, the first one first.
    Jump(Vec<Hop>),
    /// A command line for a shell, with tokens.
    Command(String),
}

/// What became of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It counts, or an earlier one does.
    Yes,
    /// It has no meaning here.
    Unknown,
}

impl Settings {
    /// Takes an option, unless it was said before. `raw` is the rest of its line, `words` are the same split.
    pub(super) fn take(
        &mut self,
        keyword: &str,
        raw: &str,
        words: &[String],
    ) -> Result<Taken, &'static str> {
        let one = || single(words);
        match keyword {
            "hostname" => first(&mut self.host_name, one()?.to_owned()),
            "port" => first(&mut self.port, values::port(one()?)?),
            "user" => first(&mut self.user, one()?.to_owned()),
            "identityfile" => another(&mut self.identity_files, one()?)?,
            "certificatefile" => another(&mut self.certificate_files, one()?)?,
            "identitiesonly" => first(&mut self.identities_only, values::boolean(one()?)?),
            "identityagent" => first(&mut self.identity_agent, one()?.to_owned()),
            "proxyjump" => first(&mut self.proxy, jump(one()?)?),
            "proxycommand" => {
                let command = command(raw)?;
                self.proxy.take_if(|before| *before == WrittenProxy::NoJump);
                first(&mut self.proxy, command);
            }
            "hostkeyalias" => first(&mut self.host_key_alias, one()?.to_owned()),
            "userknownhostsfile" => first(&mut self.user_known_hosts_files, several(words)?),
            "connecttimeout" => first(&mut self.connect_timeout, values::time(one()?)?),
            "serveraliveinterval" => first(&mut self.server_alive_interval, values::time(one()?)?),
            "serveralivecountmax" => {
                first(&mut self.server_alive_count_max, values::number(one()?)?);
            }
            "stricthostkeychecking" => first(
                &mut self.strict_host_key_checking,
                values::strict_checking(one()?)?,
            ),
            "forwardagent" => {
                let may = values::boolean(one()?);
                if may.is_err() {
                    first(&mut self.forward_agent_socket, one()?.to_owned());
                }
                first(&mut self.forward_agent, may.unwrap_or(true));
            }
            "ciphers" => first(&mut self.ciphers, values::algorithms(one()?)?),
            "kexalgorithms" => first(&mut self.kex_algorithms, values::algorithms(one()?)?),
            "macs" => first(&mut self.macs, values::algorithms(one()?)?),
            "hostkeyalgorithms" => {
                first(&mut self.host_key_algorithms, values::algorithms(one()?)?);
            }
            "pubkeyacceptedalgorithms" | "pubkeyacceptedkeytypes" => {
                first(
                    &mut self.pubkey_accepted_algorithms,
                    values::algorithms(one()?)?,
                );
            }
            // No key is ever added to an agent.
            "addkeystoagent" => {}
            _ => return Ok(Taken::Unknown),
        }
        Ok(Taken::Yes)
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

fn single(words: &[String]) -> Result<&str, &'static str> {
    match words {
        [one] if one.is_empty() => Err("the value is empty"),
        [one] => Ok(one),
        [] => Err("the value is missing"),
        _ => Err("there is more than one value"),
    }
}

fn several(words: &[String]) -> Result<Vec<String>, &'static str> {
    match words {
        [] => Err("the value is missing"),
        words if words.iter().any(String::is_empty) => Err("the value is empty"),
        words if words.len() > MOST_FILES => Err("there are more than 100 files"),
        words => Ok(words.to_vec()),
    }
}

/// Every line counts here, not only the first.
fn another(files: &mut Vec<String>, file: &str) -> Result<(), &'static str> {
    if files.iter().any(|known| known == file) {
        return Ok(());
    }
    if files.len() >= MOST_FILES {
        return Err("there are more than 100 files");
    }
    files.push(file.to_owned());
    Ok(())
}

fn jump(text: &str) -> Result<WrittenProxy, &'static str> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(WrittenProxy::NoJump);
    }
    values::jump(text).map(WrittenProxy::Jump)
}

fn command(raw: &str) -> Result<WrittenProxy, &'static str> {
    match raw.trim_end() {
        "" => Err("the value is missing"),
        none if none.eq_ignore_ascii_case("none") => Ok(WrittenProxy::NoCommand),
        command => Ok(WrittenProxy::Command(command.to_owned())),
    }
}
