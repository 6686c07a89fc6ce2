//! Values of single options. Source: `ssh_config(5)`, and `readconf.c` of OpenSSH 9.2 where the manual is silent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Hops that a `ProxyJump` may name.
const MOST_HOPS: usize = 16;

/// A list of algorithms, as it is to be combined with what would be used without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlgorithmList {
    /// How it is combined.
    pub how: Combine,
    /// Names, or patterns of names when some are removed; best first.
    pub names: Vec<String>,
}

/// How a list of algorithms is combined with what would be used without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Combine {
    /// Instead of it.
    Replace,
    /// `+`: behind it.
    Append,
    /// `-`: these are taken out of it.
    Remove,
    /// `^`: before it.
    Prepend,
}

/// What is done about the key of a host that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrictChecking {
    /// `ask`, as without the option: a person decides.
    Ask,
    /// `yes`: refused.
    Refuse,
    /// `accept-new`: kept, without a question.
    AcceptNew,
    /// `no`, `off`: as `accept-new`, and a changed key would do.
    Off,
}

/// Whether the agent of this machine may be used from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardAgent {
    /// It may not.
    No,
    /// It may.
    Yes,
    /// The agent at this socket, or `$NAME` of a variable that holds its path.
    Socket(String),
}

/// A host that is passed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// User, if not the one of that host's own configuration.
    pub user: Option<String>,
    /// Name or address, without brackets.
    pub host: String,
    /// Port, if not the one of that host's own configuration.
    pub port: Option<u16>,
}

pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("`yes` or `no` is expected"),
    }
}

pub(super) fn port(text: &str) -> Result<u16, &'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or("a port from 1 to 65535 is expected")
}

pub(super) fn number(text: &str) -> Result<u32, &'static str> {
    let number = text
        .parse()
        .ok()
        .filter(|number| i32::try_from(*number).is_ok());
    number.ok_or("a number is expected")
}

/// Seconds, or numbers with units as in `1h30m`; `none` is no time at all.
pub(super) fn time(text: &str) -> Result<Option<Duration>, &'static str> {
    const WRONG: &str = "a time is expected, as in 10 or 1m30s";
    if text == "none" {
        return Ok(None);
    }
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit());
        let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
        let number: u64 = digits.parse().map_err(|_| WRONG)?;
        let mut letters = after.chars();
        let unit = match letters.next().map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return Err(WRONG),
        };
        rest = letters.as_str();
        let part = number.checked_mul(unit);
        seconds = part
            .and_then(|part| seconds.checked_add(part))
            .ok_or(WRONG)?;
    }
    // OpenSSH counts in an `int`.
    let fits = !text.is_empty() && i32::try_from(seconds).is_ok();
    fits.then(|| Some(Duration::from_secs(seconds)))
        .ok_or(WRONG)
}

pub(super) fn strict_checking(text: &str) -> Result<StrictChecking, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "ask" => Ok(StrictChecking::Ask),
        "yes" | "true" => Ok(StrictChecking::Refuse),
        "accept-new" => Ok(StrictChecking::AcceptNew),
        "no" | "off" | "false" => Ok(StrictChecking::Off),
        _ => Err("`yes`, `no`, `ask` or `accept-new` is expected"),
    }
}

pub(super) fn algorithms(text: &str) -> Result<AlgorithmList, &'static str> {
    let prefixes = [
        ('+', Combine::Append),
        ('-', Combine::Remove),
        ('^', Combine::Prepend),
    ];
    let found = prefixes
        .iter()
        .find_map(|(prefix, how)| Some((text.strip_prefix(*prefix)?, *how)));
    let (list, how) = found.unwrap_or((text, Combine::Replace));
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    let sound =
        |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if names.iter().all(sound) {
        Ok(AlgorithmList { how, names })
    } else {
        Err("names of algorithms with commas between them are expected")
    }
}

/// Hops with commas between them, the first one first: `[user@]host[:port]` or `ssh://[user@]host[:port]`.
pub(super) fn jump(text: &str) -> Result<Vec<Hop>, &'static str> {
    const WRONG: &str = "hosts with commas between them are expected, each as in user@host:22";
    if text.split(',').count() > MOST_HOPS {
        return Err("there are more than 16 hops");
    }
    text.split(',')
        .map(|hop| parse_hop(hop).ok_or(WRONG))
        .collect()
}

fn parse_hop(text: &str) -> Option<Hop> {
    let (text, is_uri) = match text.strip_prefix("ssh://") {
        Some(rest) => (rest.strip_suffix('/').unwrap_or(rest), true),
        None => (text, false),
    };
    // A user name may hold an `@`.
    let (user, place) = match text.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, text),
    };
    let (host, digits) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            match after.strip_prefix(':') {
                Some(digits) => (host, Some(digits)),
                None if after.is_empty() => (host, None),
                None => return None,
            }
        }
        None if place.matches(':').count() > 1 && !is_uri => (place, None),
        None => match place.split_once(':') {
            Some((host, digits)) => (host, Some(digits)),
            None => (place, None),
        },
    };
    let port = digits.map(port).transpose().ok()?;
    let odd = |letter: char| {
        letter.is_whitespace() || letter.is_control() || "'\"`$\\;&<>|(){}".contains(letter)
    };
    let refused = host.is_empty() || host.starts_with('-') || host.contains(odd);
    let user_refused =
        user.is_some_and(|user| user.is_empty() || user.starts_with('-') || user.contains(odd));
    (!refused && !user_refused).then(|| Hop {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let seconds = |text| time(text).unwrap().unwrap().as_secs();
        assert_eq!(seconds("90"), 90);
        assert_eq!(seconds("1h30M5"), 5405);
        assert_eq!(time("none"), Ok(None));
        for wrong in ["", "x", "1y", "-1", "99999999999", "1 m"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hops_have_users_ports_and_brackets() {
        let hop = |user: Option<&str>, host: &str, port| Hop {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        };
        assert_eq!(
            jump("a@b@c:1,[fd00::1]:2,d,ssh://e@f:3/,fd00::2").unwrap(),
            [
                hop(Some("a@b"), "c", Some(1)),
                hop(None, "fd00::1", Some(2)),
                hop(None, "d", None),
                hop(Some("e"), "f", Some(3)),
                hop(None, "fd00::2", None),
            ]
        );
        for wrong in [
            "", "a,", "@b", "a@", "-x", "b:0", "b:x", "[b", "$(x)", "a b",
        ] {
            assert!(jump(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_of_algorithms_say_how_they_are_combined() {
        let list = algorithms("+a,b").unwrap();
        assert_eq!((list.how, list.names.len()), (Combine::Append, 2));
        assert_eq!(algorithms("-a*").unwrap().how, Combine::Remove);
        assert_eq!(algorithms("^a").unwrap().how, Combine::Prepend);
        assert_eq!(algorithms("a").unwrap().how, Combine::Replace);
        for wrong in ["", "+", "a,,b", "a b"] {
            assert!(algorithms(wrong).is_err(), "{wrong}");
        }
    }
}
