//! redsocks.conf as the reference reads and writes it. Pure.
//!
//! In: text that people and other agents wrote. Out: a [`Server`], and the text that makes it so. A line that is not understood
//! is passed over, as the reference does; a server without its three necessary values is none.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value};

use crate::model::Secret;

/// Larger files are not redsocks.conf; what is beyond is not read.
pub(super) const MAX_BYTES: usize = 64 * 1024;
/// Names of servers, and secrets, are not longer.
const MAX_VALUE: usize = 255;
/// Where name servers are asked when none is named.
pub(super) const DEFAULT_DNS: &str = "8.8.8.8:53";

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Socks4,
    Socks5,
    HttpConnect,
    HttpRelay,
}

impl Protocol {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "socks4" => Self::Socks4,
            "socks5" => Self::Socks5,
            "http-connect" => Self::HttpConnect,
            "http-relay" => Self::HttpRelay,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Socks4 => "socks4",
            Self::Socks5 => "socks5",
            Self::HttpConnect => "http-connect",
            Self::HttpRelay => "http-relay",
        }
    }
}

/// A proxy server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(super) protocol: Protocol,
    pub(super) ip: String,
    pub(super) port: u16,
    pub(super) login: Option<String>,
    pub(super) password: Option<Secret>,
    /// Name server that is reached through the proxy.
    pub(super) dns: Option<SocketAddr>,
}

impl Server {
    /// As the reference tells it, in its order, with the password.
    pub(super) fn on_the_wire(&self) -> Map<String, Value> {
        let password = self.password.as_ref().map(Secret::reveal);
        let dns = self.dns.map(|dns| dns.to_string());
        let fields = [
            ("type", Some(Value::from(self.protocol.name()))),
            ("ip", Some(Value::from(self.ip.as_str()))),
            ("port", Some(Value::from(self.port))),
            ("login", self.login.as_deref().map(Value::from)),
            ("password", password.map(Value::from)),
            ("dns", dns.map(Value::from)),
        ];
        let fields = fields.into_iter();
        fields
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }
}

/// The server in a text, if there is one that can work.
pub(super) fn parse(text: &str) -> Option<Server> {
    let sections = sections(text);
    let server = sections.get("redsocks")?;
    let value = |key: &str| server.get(key).cloned();
    let dns = sections.get("dnsu2t").and_then(|dns| {
        let (ip, port) = (dns.get("remote_ip")?, dns.get("remote_port")?);
        can_be(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
    });
    Some(Server {
        protocol: Protocol::by_name(server.get("type")?)?,
        ip: value("ip").filter(|ip| is_host(ip))?,
        port: server.get("port")?.parse().ok().filter(|port| *port != 0)?,
        login: value("login").filter(|login| is_secret(login)),
        password: value("password")
            .filter(|password| is_secret(password))
            .map(Secret::new),
        dns,
    })
}

/// `ip:port`, with a port that can be.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    can_be(text.parse().ok()?)
}

fn can_be(address: SocketAddr) -> Option<SocketAddr> {
    (address.port() != 0).then_some(address)
}

/// Whether this can stand for a server without quotes: an address or a name.
pub(super) fn is_host(text: &str) -> bool {
    (1..=MAX_VALUE).contains(&text.len())
        && text
            .chars()
            .all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, ';' | '"' | '\\' | '='))
}

/// Whether redsocks reads this as a server without quotes: an address of four numbers, or a name that begins with a letter.
/// With anything else in its place it refuses its whole file.
pub(super) fn is_server(text: &str) -> bool {
    let is_name_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_name =
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_name_byte);
    text.len() <= MAX_VALUE && (is_name || text.parse::<Ipv4Addr>().is_ok())
}

/// Whether this can be a login or a password: one line of text.
pub(super) fn is_secret(text: &str) -> bool {
    (1..=MAX_VALUE).contains(&text.len()) && !text.chars().any(char::is_control)
}

type Section = BTreeMap<String, String>;

/// Values by section and key. Of several sections with a name the first counts, and of several values the last.
fn sections(text: &str) -> BTreeMap<String, Section> {
    let mut found: BTreeMap<String, Section> = BTreeMap::new();
    let mut open: Option<(String, Section)> = None;
    let mut in_comment = false;
    for line in text.lines() {
        let line = line.trim();
        if in_comment || line.starts_with("/*") {
            in_comment = !line.ends_with("*/");
            continue;
        }
        if line.starts_with("//") || line.starts_with('#') {
            continue;
        }
        match &mut open {
            None => open = opened(line).map(|name| (name, Section::new())),
            Some(_) if matches!(line, "}" | "};") => {
                if let Some((name, section)) = open.take() {
                    found.entry(name).or_insert(section);
                }
            }
            Some((_, section)) => section.extend(assigned(line)),
        }
    }
    if let Some((name, section)) = open {
        found.entry(name).or_insert(section);
    }
    found
}

/// The name of the section that a line opens.
fn opened(line: &str) -> Option<String> {
    let name = line.strip_suffix('{')?.trim();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
    is_name.then(|| name.to_owned())
}

/// Key and value of a line.
fn assigned(line: &str) -> Option<(String, String)> {
    let line = line.strip_suffix(';').unwrap_or(line);
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), unquoted(value.trim()));
    (!key.is_empty() && !value.is_empty()).then(|| (key.to_owned(), value))
}

/// Without the quotes around it, if it has any, and without what protects quotes in it.
fn unquoted(value: &str) -> String {
    let value = value.strip_prefix('"').unwrap_or(value);
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some('\\' | '"')) => plain.extend(letters.next()),
            // The one that ends the value.
            ('"', None) => {}
            (letter, _) => plain.push(letter),
        }
    }
    plain
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The whole file for a server.
pub(super) fn print(server: &Server) -> String {
    let mut lines = vec![
        ("type", server.protocol.name().to_owned()),
        ("ip", server.ip.clone()),
        ("port", server.port.to_string()),
    ];
    let password = server.password.as_ref().map(Secret::reveal);
    let secrets = [("login", server.login.as_deref()), ("password", password)];
    let secrets = secrets
        .into_iter()
        .filter_map(|(key, value)| Some((key, quoted(value?))));
    lines.extend(secrets);
    lines.push(("local_ip", "127.0.0.1".to_owned()));
    lines.push(("local_port", "12345".to_owned()));
    let base = [
        ("log_debug", "off"),
        ("log_info", "on"),
        ("log", "stderr"),
        ("daemon", "off"),
        ("redirector", "iptables"),
    ];
    let base = base.map(|(key, value)| (key, value.to_owned()));
    let mut text = section("base", &base);
    text.push('\n');
    text.push_str(&section("redsocks", &lines));
    if let Some(dns) = server.dns {
        let lines = [
            ("remote_ip", dns.ip().to_string()),
            ("remote_port", dns.port().to_string()),
            ("local_ip", "127.0.0.1".to_owned()),
            ("local_port", "53".to_owned()),
        ];
        text.push('\n');
        text.push_str(&section("dnsu2t", &lines));
    }
    text
}

fn section(name: &str, lines: &[(&str, String)]) -> String {
    let lines = lines
        .iter()
        .map(|(key, value)| format!("\t{key} = {value};\n"));
    let lines: Vec<String> = lines.collect();
    format!("{name} {{\n{}}}\n", lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server {
            protocol: Protocol::Socks5,
            ip: "example.org".to_owned(),
            port: 1080,
            login: Some("foo".to_owned()),
            password: Some(Secret::new("p\"a\\s{}s".to_owned())),
            dns: Some("1.2.3.4:54".parse().unwrap()),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = print(&server());
        assert_eq!(parse(&text), Some(server()));
        assert_eq!(
            text.replace('\t', "  "),
            "base {\n  log_debug = off;\n  log_info = on;\n  log = stderr;\n  daemon = off;\n  redirector = iptables;\n}\n\n\
             redsocks {\n  type = socks5;\n  ip = example.org;\n  port = 1080;\n  login = \"foo\";\n  \
             password = \"p\\\"a\\\\s{}s\";\n  local_ip = 127.0.0.1;\n  local_port = 12345;\n}\n\n\
             dnsu2t {\n  remote_ip = 1.2.3.4;\n  remote_port = 54;\n  local_ip = 127.0.0.1;\n  local_port = 53;\n}\n"
        );
    }

    #[test]
    fn a_password_is_in_the_file_and_on_the_wire_only() {
        let server = server();
        assert!(!format!("{server:?}").contains("{}s"), "{server:?}");
        let told = Value::Object(server.on_the_wire()).to_string();
        assert_eq!(
            told,
            r#"{"type":"socks5","ip":"example.org","port":1080,"login":"foo","password":"p\"a\\s{}s","dns":"1.2.3.4:54"}"#
        );
    }

    #[test]
    fn files_that_people_wrote_are_understood() {
        let read = |text: &str| parse(text).map(|server| (server.ip, server.login, server.dns));
        let plain = "dnsu2t {\n remote_port = 53;\n}\n// redsocks {\n/* no\n redsocks { */\nredsocks{\n type = http-connect;\n\
                     ip = {test2}.example;\n port = 1082\n login = user;\n rubbish\n = 7;\n}";
        let found = read(plain);
        let login = Some("user".to_owned());
        assert_eq!(found, Some(("{test2}.example".to_owned(), login, None)));
        for none in [
            "",
            "redsocks {\n}\n",
            "redsocks {\n type = socks6;\n ip = a;\n port = 1;\n}",
            "redsocks {\n type = socks5;\n ip = a;\n port = 65536;\n}",
            "redsocks {\n type = socks5;\n ip = a;\n port = 0;\n}",
            "redsocks {\n type = socks5;\n port = 1;\n}",
            "other {\n type = socks5;\n ip = a;\n port = 1;\n}",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
