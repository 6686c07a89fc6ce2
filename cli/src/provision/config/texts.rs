//! Secrets within texts: in URLs, and behind their names.
//!
//! In: a text, whatever it is. Out: the same with [`HIDDEN`] in the place of what most likely lets somebody in. Pure. Nobody can tell where a
//! secret ends: rather too much is hidden than too little.

use super::{
    hidden::HIDDEN,
    named::{is_named_so, is_secret_in_text},
};

/// The text without its secrets.
pub(super) fn shown(text: &str) -> String {
    without_values(&without_users(text))
}

/// A text without those who are named before the hosts in it. A password may have any signs in it, and a user of a URL may be a token:
/// whatever stands before the last `@` that is still before the next URL is hidden, even if the `@` is one of a path.
fn without_users(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.extend([&without_user(before), "://"]);
        let (url, others) = behind.split_at(next_url(behind).unwrap_or(behind.len()));
        match url.rsplit_once('@') {
            Some((_, host)) => shown.extend([HIDDEN, "@", host]),
            None => shown.push_str(url),
        }
        rest = others;
    }
    shown + &without_user(rest)
}

/// What is no URL has one who is hidden where a password stands behind a name: `me:PW@host`. A text that begins so is nothing else, and its
/// password may have any signs in it; in all others each word is looked at.
fn without_user(text: &str) -> String {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "._-+@".contains(letter);
    let begins_so = text
        .split_once(':')
        .is_some_and(|(name, _)| name.chars().all(is_of_name));
    if begins_so {
        return without_user_of(text);
    }
    let is_between = |letter: char| letter.is_whitespace() || "\"',".contains(letter);
    text.split_inclusive(is_between)
        .map(without_user_of)
        .collect()
}

fn without_user_of(text: &str) -> String {
    let is_one = |before: &str| {
        before
            .split(':')
            .skip(1)
            .any(|behind| !behind.starts_with(char::is_whitespace))
    };
    match text.rsplit_once('@') {
        // Behind an image's name stands its digest.
        Some((before, host)) if is_one(before) && !host.starts_with("sha256:") => {
            format!("{HIDDEN}@{host}")
        }
        _ => text.to_owned(),
    }
}

/// Where the next URL of a text begins, with a blank before it: without one, it may be part of a password.
fn next_url(text: &str) -> Option<usize> {
    let is_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let mut found = text.match_indices("://");
    found.find_map(|(end, _)| {
        let before = text.get(..end)?.trim_end_matches(is_scheme);
        let is_one = before.len() < end && before.ends_with(char::is_whitespace);
        is_one.then_some(before.len())
    })
}

/// The same without what stands behind a name of a secret and `=` or `:`. In a query it ends where the next name begins, elsewhere nowhere.
fn without_values(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    let (mut has_url, mut is_query) = (false, false);
    while let Some((name, mark, behind)) = split(rest) {
        shown.push_str(name);
        shown.push(mark);
        rest = behind;
        has_url |= mark == ':' && behind.starts_with("//");
        match mark {
            '=' | ':' if is_secret(name, mark, behind, is_query) => {
                let end = behind.find(['&', '#']).filter(|_| is_query);
                let (value, others) = behind.split_at(end.unwrap_or(behind.len()));
                shown.push_str(if value.trim().is_empty() {
                    value
                } else {
                    HIDDEN
                });
                rest = others;
            }
            '=' | ':' => {}
            mark => is_query = has_url && mark != ';',
        }
    }
    shown + rest
}

/// What stands before the next sign that ends a name or a value, that sign, and the rest.
fn split(text: &str) -> Option<(&str, char, &str)> {
    let at = text.find(['?', '&', '#', ';', '=', ':'])?;
    let (before, behind) = text.split_at(at);
    let mut letters = behind.chars();
    let mark = letters.next()?;
    Some((before, mark, letters.as_str()))
}

/// Whether a secret stands behind this mark. Elsewhere than in queries, names of pins and of keyboards' keys are usual, too.
fn is_secret(before: &str, mark: char, behind: &str, is_query: bool) -> bool {
    let is_host =
        |text: &str| !text.contains(|letter: char| letter.is_whitespace() || letter == '/');
    // A scheme, or the port of a host.
    let is_of_url = behind.starts_with("//") || before.strip_prefix("//").is_some_and(is_host);
    if mark == ':' && is_of_url {
        return false;
    }
    if is_query {
        is_named_so(before)
    } else {
        is_secret_in_text(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_within_a_url_lets_somebody_in_is_hidden() {
        for (text, is) in [
            ("me@x, or you@y", "me@x, or you@y"),
            ("https://x/a?b", "https://x/a?b"),
            ("socks5://:PW@x:1", "socks5://(hidden)@x:1"),
            // Of a path, or of a password: nobody can tell.
            ("https://x/a@b", "https://(hidden)@b"),
            (
                "https://x:80/a@b http://[::1]/@ c",
                "https://(hidden)@b http://(hidden)@ c",
            ),
            (
                "https://x https://me:PW@y/a, http://T0KEN@z",
                "https://x https://(hidden)@y/a, http://(hidden)@z",
            ),
            ("http://a:PW@b,http://c:PW@d,e", "http://(hidden)@d,e"),
            (
                "x=http://a:PW@b http://c:P/W@d",
                "x=http://(hidden)@b http://(hidden)@d",
            ),
            (
                "https://x/a?token=PW&user=me&api_key=PW#access_token=PW",
                "https://x/a?token=(hidden)&user=me&api_key=(hidden)#access_token=(hidden)",
            ),
            (
                "<https://x?X-Amz-Signature=P%20W> https://y?q=a?b&sig=PW&key=",
                "<https://x?X-Amz-Signature=(hidden)&sig=(hidden)&key=",
            ),
            ("https://x/?a=b&sshKeys=c&d", "https://x/?a=b&sshKeys=c&d"),
            (
                "https://x/?a=b;token=PW;PW&jwt=P'W",
                "https://x/?a=b;token=(hidden)",
            ),
            ("Server=x;Password=PW", "Server=x;Password=(hidden)"),
            // Nobody can tell where it ends.
            ("https://x?token=P W&a=b", "https://x?token=(hidden)&a=b"),
            ("https://x?token=\"P W\"&a", "https://x?token=(hidden)&a"),
            ("https://x?token='P'W<PW", "https://x?token=(hidden)"),
        ] {
            assert_eq!(shown(text), is);
        }
    }

    #[test]
    fn a_secret_behind_its_name_is_hidden_wherever_it_stands() {
        for (text, is) in [
            ("Password=PW;Server=x", "Password=(hidden)"),
            ("password = P&W;PW", "password =(hidden)"),
            ("host=x password=PW dbname=y", "host=x password=(hidden)"),
            ("Server=x,1433;Pwd='P;W'", "Server=x,1433;Pwd=(hidden)"),
            (
                "Endpoint=sb://x/;SharedAccessKey=PW=;a=b",
                "Endpoint=sb://x/;SharedAccessKey=(hidden)",
            ),
            ("{\"a\":1,\"token\": \"PW\"}", "{\"a\":1,\"token\":(hidden)"),
            ("Authorization: Bearer PW", "Authorization:(hidden)"),
            ("wifi\npsk: PW\n", "wifi\npsk:(hidden)"),
            ("a? b;password=P&W", "a? b;password=(hidden)"),
            ("https://x/ token: PW", "https://x/ token:(hidden)"),
            ("token==PW", "token=(hidden)"),
            ("user=me pass=PW", "user=me pass=(hidden)"),
            (
                "AccountName=a;AccountKey=PW",
                "AccountName=a;AccountKey=(hidden)",
            ),
            ("https://x?key==PW", "https://x?key=(hidden)"),
            ("a \"b:PW@c\" d:PW@e", "a \"(hidden)@c\" (hidden)@e"),
            ("me:PW@host", "(hidden)@host"),
            ("me:P@W W@host:1/a", "(hidden)@host:1/a"),
            ("me:PW@tcp(host)/a", "(hidden)@tcp(host)/a"),
            ("me:PW@a http://b me:PW@c", "(hidden)@a http://(hidden)@c"),
            (":PW@host", "(hidden)@host"),
        ] {
            assert_eq!(shown(text), is);
        }
        let long = format!("{} password=PW", "a ".repeat(100_000));
        assert!(!shown(&long).contains("PW"));
    }

    #[test]
    fn what_is_no_secret_is_readable() {
        for text in [
            "1.1.1.1 8.8.8.8 fd00::53",
            "https://api.example.com:443/v1?a=b",
            "https://auth:8443/",
            "https://auth.example.com:8443/token/",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@host",
            "git@example.com:me/a",
            "Mail: me@example.com",
            "SUBSYSTEM==\"input\", ENV{ID_INPUT_KEY}==\"1\", SYMLINK+=\"a\"",
            "SUBSYSTEM==\"input\", KERNEL==\"tty?\", ATTRS{key}=\"1\", SYMLINK+=\"b\"",
            "ATTR{address}==\"00:11:22:33:44:55\", ENV{SYSTEMD_WANTS}=\"wpa@%k.service\"",
            "registry.example.com/app:1.2@sha256:0123abcd",
            "dtoverlay=gpio-key,pin=17",
            "console=ttyS0,115200 root=/dev/sda",
            "gpioPin=5; sshKeys: a",
            "00:11:22:33:44:55",
            "password=",
            "",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn a_user_of_a_url_is_hidden_whatever_the_password_is_made_of() {
        for user in [
            "me:PW",
            "me:P@W",
            "PW",
            "PW:x-oauth-basic",
            "PW:",
            ":PW",
            "me:P W",
            "me:'PW",
            "me:\"PW",
            "me:PW'34",
            "me:2024<PW",
            "PW'en",
            "me:P@W'X",
            "me:PW@b Q",
            "me:#PW",
            "me:/PW",
            "me:2024#PW",
            "me:P/W#",
            "me@corp.com:P/W",
            "me:P@W/PW",
            "me:PW?PW",
            "me:PW://PW",
            "me:2024",
        ] {
            let text = format!("https://{user}@host/a");
            assert_eq!(shown(&text), "https://(hidden)@host/a", "{user}");
        }
    }
}
