//! What a request says about the proxy, and what becomes of the present one. Pure.
//!
//! In: `network.proxy` of a request; foreign. Out: the proxy that is to be. What is absent stays; a value of a type that cannot
//! be meant is passed over, as the reference does; a value that would break the file is refused.

use std::net::SocketAddr;

use serde_json::Value;

use super::redsocks::{self, DEFAULT_DNS, Protocol, Server, is_host, is_secret, is_server};
use crate::model::Secret;

/// Exceptions from the proxy.
const MAX_EXCEPTIONS: usize = 1024;

/// The proxy of the host: a server, and whom it is not for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(super) server: Option<Server>,
    pub(super) exceptions: Vec<String>,
}

/// What is to change; `None` leaves a value as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProxyPatch {
    protocol: Option<Protocol>,
    ip: Option<String>,
    port: Option<u16>,
    login: Option<String>,
    password: Option<Secret>,
    dns: Option<NameServer>,
    exceptions: Option<Vec<String>>,
    /// Whether there is to be no proxy any more.
    clear: bool,
}

/// Whether a name server is reached through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NameServer {
    None,
    At(SocketAddr),
}

impl ProxyPatch {
    /// Understands `network.proxy`. `None`: it asks for nothing.
    ///
    /// # Errors
    /// Words about a value that no proxy can have.
    pub(crate) fn understand(proxy: &Value) -> Result<Option<Self>, String> {
        let Value::Object(fields) = proxy else {
            return Ok(None);
        };
        let mut patch = Self {
            clear: fields.is_empty(),
            ..Self::default()
        };
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("type", Value::String(name)) => {
                    let protocol = Protocol::by_name(name);
                    let words = "type must be socks4, socks5, http-connect or http-relay";
                    patch.protocol = Some(protocol.ok_or_else(|| words.to_owned())?);
                }
                ("ip", Value::String(host)) => {
                    let words =
                        "ip must be an IPv4 address or a host name, without http:// before it";
                    patch.ip = Some(fitting(host.clone(), is_server, words)?);
                }
                ("port", value @ (Value::Number(_) | Value::String(_))) => {
                    let words = "port must be between 1 and 65535";
                    patch.port = Some(port(value).ok_or_else(|| words.to_owned())?);
                }
                ("login", Value::String(login)) => {
                    let words = "login must be one line of at most 255 bytes";
                    patch.login = Some(fitting(plain(login), is_secret, words)?);
                }
                ("password", Value::String(password)) => {
                    let words = "password must be one line of at most 255 bytes";
                    let password = fitting(plain(password), is_secret, words)?;
                    patch.password = Some(Secret::new(password));
                }
                ("dns", value @ (Value::Bool(_) | Value::String(_))) => {
                    patch.dns = Some(dns(value)?);
                }
                ("noProxy", Value::Array(list)) => patch.exceptions = Some(exceptions(list)?),
                (key, _) => {
                    tracing::warn!(
                        "host-config: `{key}` of the proxy is passed over: it is unknown or has another type"
                    );
                }
            }
        }
        Ok((patch != Self::default()).then_some(patch))
    }

    /// The present proxy, changed.
    ///
    /// # Errors
    /// Words about a value that is missing: a server needs three.
    pub(crate) fn apply(self, present: Proxy) -> Result<Proxy, String> {
        if self.clear {
            return Ok(Proxy::default());
        }
        let before = present.server.as_ref();
        let names_server = self.protocol.is_some() || self.ip.is_some() || self.port.is_some();
        let protocol = self.protocol.or(before.map(|server| server.protocol));
        let ip = self.ip.or(before.map(|server| server.ip.clone()));
        let port = self.port.or(before.map(|server| server.port));
        let server = match (protocol, ip, port) {
            (Some(protocol), Some(ip), Some(port)) => Some(Server {
                protocol,
                ip,
                port,
                login: self.login.or(before.and_then(|s| s.login.clone())),
                password: self.password.or(before.and_then(|s| s.password.clone())),
                dns: match self.dns {
                    Some(NameServer::At(address)) => Some(address),
                    Some(NameServer::None) => None,
                    None => before.and_then(|server| server.dns),
                },
            }),
            (protocol, ip, port) if names_server => {
                let missing = [
                    ("type", protocol.is_none()),
                    ("ip", ip.is_none()),
                    ("port", port.is_none()),
                ];
                let missing = missing.iter().filter(|(_, missing)| *missing);
                let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
                return Err(format!(
                    "a proxy needs type, ip and port: {} is missing",
                    missing.join(" and ")
                ));
            }
            _ => None,
        };
        Ok(Proxy {
            server,
            exceptions: self.exceptions.unwrap_or(present.exceptions),
        })
    }
}

fn fitting(value: String, fits: fn(&str) -> bool, words: &str) -> Result<String, String> {
    if fits(&value) {
        Ok(value)
    } else {
        Err(words.to_owned())
    }
}

/// Without quotes around it, which some send as they would stand in the file. All else is what is meant: a value of a request
/// protects nothing.
fn plain(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(value).to_owned()
}

fn port(value: &Value) -> Option<u16> {
    let port = match value {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    port.filter(|port| *port != 0)
}

fn dns(value: &Value) -> Result<NameServer, String> {
    let address = match value {
        Value::Bool(false) => return Ok(NameServer::None),
        Value::String(address) => address.as_str(),
        _ => DEFAULT_DNS,
    };
    let address = redsocks::address(address).filter(SocketAddr::is_ipv4);
    let words = "dns must be true, false or an IPv4 address with a port, 8.8.8.8:53 for example";
    address.map(NameServer::At).ok_or_else(|| words.to_owned())
}

fn exceptions(list: &[Value]) -> Result<Vec<String>, String> {
    if list.len() > MAX_EXCEPTIONS {
        return Err(format!("noProxy may hold {MAX_EXCEPTIONS} values"));
    }
    let texts = list.iter().filter_map(Value::as_str);
    let words = "noProxy must hold addresses, networks or host names";
    texts
        .map(|text| fitting(text.to_owned(), is_host, words))
        .collect()
}

/// The exceptions in the text of `no_proxy`, one a line; what can be none is passed over.
pub(super) fn exceptions_in(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| is_host(line))
        .take(MAX_EXCEPTIONS)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn present() -> Proxy {
        let text = "redsocks {\n type = socks5;\n ip = example.org;\n port = 1080;\n login = \"foo\";\n password = \"bar\";\n}\n\
                    dnsu2t {\n remote_ip = 1.2.3.4;\n remote_port = 54;\n}";
        Proxy {
            server: redsocks::parse(text),
            exceptions: vec!["152.10.30.4".to_owned()],
        }
    }

    fn patched(patch: &Value) -> Value {
        let patch = ProxyPatch::understand(patch).unwrap();
        let after = patch.map_or_else(present, |patch| patch.apply(present()).unwrap());
        super::super::on_the_wire(&after).unwrap_or_default()
    }

    #[test]
    fn fields_that_are_absent_stay() {
        let whole = json!({"type": "socks5", "ip": "example.org", "port": 1080, "login": "foo", "password": "bar",
                           "dns": "1.2.3.4:54", "noProxy": ["152.10.30.4"]});
        for (patch, changed) in [
            (json!(null), json!({})),
            (json!("text"), json!({})),
            (json!({"local_ip": "127.0.0.2", "type": 7}), json!({})),
            (
                json!({"ip": "b.org", "port": "1090"}),
                json!({"ip": "b.org", "port": 1090}),
            ),
            (json!({"dns": true}), json!({"dns": "8.8.8.8:53"})),
            (json!({"dns": "4.3.2.1:51"}), json!({"dns": "4.3.2.1:51"})),
            (json!({"dns": false}), json!({"dns": null})),
            (json!({"noProxy": []}), json!({"noProxy": null})),
            (
                json!({"noProxy": ["balena.io", "10.0.0.0/8", 7]}),
                json!({"noProxy": ["balena.io", "10.0.0.0/8"]}),
            ),
            (json!({"login": "\"baz\""}), json!({"login": "baz"})),
        ] {
            let mut expected = whole.as_object().unwrap().clone();
            expected.extend(changed.as_object().unwrap().clone());
            expected.retain(|_, value| !value.is_null());
            assert_eq!(patched(&patch), Value::Object(expected), "{patch}");
        }
        assert_eq!(patched(&json!({})), Value::Null);
    }

    #[test]
    fn what_would_break_the_file_is_refused() {
        for patch in [
            json!({"ip": "a;\n}\nbase {"}),
            json!({"ip": ""}),
            json!({"ip": "http://proxy.example"}),
            json!({"ip": "fe80::1"}),
            json!({"ip": "3proxy.example"}),
            json!({"ip": "a/*"}),
            json!({"dns": "[::1]:53"}),
            json!({"type": "socks6"}),
            json!({"port": 65536}),
            json!({"port": "x"}),
            json!({"login": "a\nb"}),
            json!({"password": "x".repeat(256)}),
            json!({"dns": "nobody"}),
            json!({"noProxy": ["a\nb"]}),
        ] {
            assert!(ProxyPatch::understand(&patch).is_err(), "{patch}");
        }
    }

    #[test]
    fn a_password_is_told_to_nobody() {
        let patch = json!({"type": "socks5", "ip": "a.org", "port": 1, "password": "hush"});
        let patch = ProxyPatch::understand(&patch).unwrap().unwrap();
        assert!(!format!("{patch:?}").contains("hush"), "{patch:?}");
        let proxy = patch.apply(Proxy::default()).unwrap();
        assert!(!format!("{proxy:?}").contains("hush"), "{proxy:?}");
    }

    #[test]
    fn a_password_is_the_one_that_was_sent() {
        for (sent, meant) in [
            ("abc\"", "abc\""),
            ("\"abc", "\"abc"),
            ("\"abc\"", "abc"),
            ("\"", "\""),
            ("a\\\\b", "a\\\\b"),
            ("a\\\"b\\", "a\\\"b\\"),
            (" a;b ", " a;b "),
        ] {
            let patch = json!({"password": sent});
            assert_eq!(patched(&patch)["password"], meant);
            let patch = ProxyPatch::understand(&patch).unwrap().unwrap();
            let server = patch.apply(present()).unwrap().server;
            let written = redsocks::print(server.as_ref().unwrap());
            assert_eq!(redsocks::parse(&written), server, "{written}");
        }
    }

    #[test]
    fn half_a_server_is_refused_with_what_is_missing() {
        let patch = json!({"ip": "10.0.0.1", "port": 1080});
        let patch = ProxyPatch::understand(&patch).unwrap().unwrap();
        let refused = patch.apply(Proxy::default()).unwrap_err();
        assert_eq!(refused, "a proxy needs type, ip and port: type is missing");
    }

    #[test]
    fn without_a_server_there_is_none() {
        let patch = json!({"dns": "1.2.3.4:54", "noProxy": ["a"]});
        let patch = ProxyPatch::understand(&patch).unwrap().unwrap();
        let after = patch.apply(Proxy::default()).unwrap();
        assert_eq!(after.server, None);
        assert_eq!(after.exceptions, ["a"]);
    }
}
