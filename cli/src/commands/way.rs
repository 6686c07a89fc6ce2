//! Ways to an agent beside its device's name: a unix socket, on which root needs no key, and a key.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::ValueHint;
use tokio::task::spawn_blocking;

use crate::{
    agent::ApiKey,
    commands::{Context, ssh_first::Through},
    env::{Environment, OSCLI_API_KEY, Paths},
    failure::{Failure, Kind},
};

/// Bytes that are read of what holds a key; no key is as long.
const LONGEST: u64 = 4096;

/// How the device is reached, where its name alone does not do.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "A device of a fleet that is not in local mode")]
pub(super) struct Way {
    /// Unix socket of the agent instead of a device's name: on the device itself, or forwarded from it by ssh. On a device,
    /// /run/os-agent/agent.sock is used when none is named
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) socket: Option<PathBuf>,
    /// File with an API key of the device, - for standard input; else that of `OSCLI_API_KEY`. It is sent to the named device only, and only
    /// if that asks for one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) api_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) through: Through,
}

/// Where a key is read from.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    Text(String),
    File(PathBuf),
    Stdin,
}

impl Way {
    /// The socket that is meant: the one that was named, else that of this machine where no device is named and there is one.
    pub(super) fn socket(&self, environment: &Environment, is_named: bool) -> Option<PathBuf> {
        match &self.socket {
            Some(path) => Some(Paths::absolute(&environment.current_dir, path)),
            None if is_named => None,
            None => {
                let path = Path::new(agent_api::AGENT_SOCKET);
                path.exists().then(|| path.to_owned())
            }
        }
    }

    /// The key that was given, if one was.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub(super) async fn key(&self, context: &Context) -> Result<Option<ApiKey>, Failure> {
        let Some(source) = self.source(&context.environment) else {
            return Ok(None);
        };
        let place = source.place();
        // Somebody may be about to type it.
        let read = spawn_blocking(move || source.read());
        let text = match read.await.map_err(io::Error::other)? {
            Ok(text) => text,
            Err(error) => {
                let failure = Failure::from_error(Kind::Usage, &error);
                return Err(failure.hint("--api-key-file names a file that holds the key"));
            }
        };
        let key = ApiKey::parse(&text).map_err(|error| {
            let failure = Failure::from_error(Kind::Usage, &error);
            failure.hint(format!("this is what {place} holds"))
        })?;
        Ok(Some(key))
    }

    fn source(&self, environment: &Environment) -> Option<Source> {
        match &self.api_key_file {
            Some(path) if path == Path::new("-") => Some(Source::Stdin),
            Some(path) => {
                let path = Paths::absolute(&environment.current_dir, path);
                Some(Source::File(path))
            }
            None => {
                let text = environment.variable(OSCLI_API_KEY)?;
                Some(Source::Text(text.to_owned()))
            }
        }
    }
}

impl Source {
    /// Where it is, for errors. What is there is not told.
    fn place(&self) -> String {
        match self {
            Self::Text(_) => OSCLI_API_KEY.to_owned(),
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    fn read(self) -> io::Result<String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Stdin => bounded(io::stdin().lock()),
            Self::File(path) => bounded(fs_err::File::open(path)?),
        }
    }
}

fn bounded(from: impl io::Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        env::Terminal,
        ui::{Console, Level},
    };

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let variables: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Environment {
            args: Vec::new(),
            program: None,
            paths: Paths::from_variables(&variables),
            variables,
            current_dir: "/here".into(),
            terminal: Terminal::default(),
        }
    }

    #[test]
    fn a_file_goes_before_the_variable() {
        let set = environment(&[(OSCLI_API_KEY, "abc")]);
        let way = |file: Option<&str>| Way {
            api_key_file: file.map(PathBuf::from),
            ..Way::default()
        };
        assert_eq!(way(None).source(&environment(&[])), None);
        let text = Some(Source::Text("abc".to_owned()));
        assert_eq!(way(None).source(&set), text);
        let file = Some(Source::File("/here/key".into()));
        assert_eq!(way(Some("key")).source(&set), file);
        assert_eq!(way(Some("-")).source(&set), Some(Source::Stdin));
    }

    #[tokio::test]
    async fn what_is_no_key_is_not_told_but_where_it_is() {
        let environment = environment(&[(OSCLI_API_KEY, "s e c r e t")]);
        let context = Context {
            console: Console::new(&environment, Level::Quiet, false),
            environment,
            interrupt: CancellationToken::new(),
            insisted: crate::commands::interrupts::Insisted::default(),
        };
        let failure = Way::default().key(&context).await.unwrap_err();
        assert!(failure.hints()[0].contains(OSCLI_API_KEY), "{failure:?}");
        assert!(!format!("{failure:?}").contains("s e c r e t"));
    }

    #[test]
    fn a_named_socket_is_taken_and_a_named_device_needs_none() {
        let here = environment(&[]);
        let way = Way {
            socket: Some("agent.sock".into()),
            ..Way::default()
        };
        assert_eq!(way.socket(&here, false), Some("/here/agent.sock".into()));
        assert_eq!(Way::default().socket(&here, true), None);
    }

    #[test]
    fn what_holds_a_key_is_read_to_a_bound() {
        assert_eq!(bounded(&b"abc\n"[..]).unwrap(), "abc\n");
        let endless = bounded(io::repeat(b'a')).unwrap();
        assert_eq!(endless.len(), 4096);
    }
}
