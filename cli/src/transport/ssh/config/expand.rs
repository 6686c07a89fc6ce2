//! Tokens, `~` and variables in values. Source: `ssh_config(5)`, TOKENS.

use std::path::PathBuf;

use super::{ConfigError, Subject};

/// What tokens stand for, once host, port and user are known.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    pub(super) subject: &'a Subject,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) alias: &'a str,
}

impl Tokens<'_> {
    /// The text with those of the tokens that may stand in it.
    pub(super) fn text(
        &self,
        option: &'static str,
        text: &str,
        may: &str,
    ) -> Result<String, ConfigError> {
        let mut out = String::with_capacity(text.len());
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let token = letters.next().unwrap_or(' ');
            let unknown = || ConfigError::Token { option, token };
            if token != '%' && !may.contains(token) {
                return Err(unknown());
            }
            match token {
                '%' => out.push('%'),
                'd' => out.push_str(&self.subject.home.to_string_lossy()),
                'h' => out.push_str(self.host),
                'i' => out.push_str(&self.subject.local_uid.to_string()),
                'k' => out.push_str(self.alias),
                'n' => out.push_str(&self.subject.host),
                'p' => out.push_str(&self.port.to_string()),
                'r' => out.push_str(self.user),
                'u' => out.push_str(&self.subject.local_user),
                _ => return Err(unknown()),
            }
        }
        Ok(out)
    }

    /// A path: variables, then `~`, then tokens.
    pub(super) fn path(&self, option: &'static str, text: &str) -> Result<PathBuf, ConfigError> {
        let text = self.variables(option, text)?;
        let text = self.text(option, &text, "dhiknpru")?;
        Ok(match text.strip_prefix("~/") {
            Some(rest) => self.subject.home.join(rest),
            None if text == "~" => self.subject.home.clone(),
            None => PathBuf::from(text),
        })
    }

    /// `${NAME}` becomes the variable's value, which is not looked at again.
    fn variables(&self, option: &'static str, text: &str) -> Result<String, ConfigError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = self.subject.variables.get(name);
            let value = value.ok_or_else(|| ConfigError::Variable {
                option,
                name: name.chars().take(64).collect(),
            })?;
            // What a variable holds is no token.
            out.push_str(&value.replace('%', "%%"));
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}
