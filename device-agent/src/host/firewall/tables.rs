//! Rules in the kernel, by the system's programs. Decides nothing but which program works.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::decide::Rule;
use super::written::{Family, Ours, TABLE, ours, restore, ruleset};

/// For one run of a program.
const LIMIT: Duration = Duration::from_secs(20);
/// Seconds for which a program waits until others have done.
const TURN: &str = "5";
/// Bytes of a table; one with more rules is not ours to judge.
const MAX_TABLE: u64 = 4 * 1024 * 1024;
/// Letters of a program's words that are told.
const MAX_WORDS: usize = 200;

/// Why the rules are not in the kernel.
#[derive(Debug, Error)]
enum TablesError {
    /// It could not be run.
    #[error("`{program}` could not be run: {source}")]
    Program {
        program: &'static str,
        source: io::Error,
    },
    /// It failed.
    #[error("`{program}` failed: {words}")]
    Failed {
        program: &'static str,
        words: String,
    },
}

/// What the rules were put in place with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    Iptables,
    Nft,
}

/// What was found in the kernel after the rules had been put there: no other way of writing them is like another version's.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Iptables(Ours),
    Nft(String),
}

/// Rules of one version of the protocol.
#[derive(Debug)]
pub(super) struct Keeper {
    family: Family,
    /// The first that worked.
    tool: Option<Tool>,
    /// What was wanted last, and how it was found.
    kept: Option<(Vec<Rule>, Standing)>,
    /// What was last told of a failure.
    told: Option<String>,
}

impl Keeper {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            tool: None,
            kept: None,
            told: None,
        }
    }

    /// Puts the rules in place unless they are there as they were left.
    pub(super) async fn keep(&mut self, wanted: &[Rule]) {
        if self.is_kept(wanted).await {
            return;
        }
        let again = self.kept.as_ref().is_some_and(|(rules, _)| rules == wanted);
        match self.put(wanted).await {
            Ok((tool, standing)) => {
                if again {
                    tracing::warn!(
                        "somebody had changed the firewall's rules: they are as they should be again"
                    );
                }
                self.kept = Some((wanted.to_vec(), standing));
                self.tool = Some(tool);
                self.told = None;
            }
            Err(words) => {
                self.kept = None;
                if self.told.as_ref() != Some(&words) {
                    let family = self.family.nft();
                    tracing::warn!(
                        "the firewall's rules for {family} are not in place, so the device is reached as without them: {words}"
                    );
                }
                self.told = Some(words);
            }
        }
    }

    async fn is_kept(&self, wanted: &[Rule]) -> bool {
        let Some((rules, standing)) = &self.kept else {
            return false;
        };
        if rules != wanted {
            return false;
        }
        let found = match standing {
            Standing::Iptables(_) => self.saved().await.map(Standing::Iptables),
            Standing::Nft(_) => self.listed().await.map(Standing::Nft),
        };
        found.is_ok_and(|found| found == *standing)
    }

    /// By the program that worked before, else by the first that does.
    async fn put(&self, rules: &[Rule]) -> Result<(Tool, Standing), String> {
        let tools = match self.tool {
            Some(tool) => vec![tool],
            None => vec![Tool::Iptables, Tool::Nft],
        };
        let mut failures = Vec::new();
        for tool in tools {
            let put = match tool {
                Tool::Iptables => self.put_by_iptables(rules).await,
                Tool::Nft => self.put_by_nft(rules).await,
            };
            match put {
                Ok(standing) => return Ok((tool, standing)),
                Err(error) => failures.push(error.to_string()),
            }
        }
        Err(failures.join("; "))
    }

    async fn put_by_iptables(&self, rules: &[Rule]) -> Result<Standing, TablesError> {
        let before = self.saved().await?;
        let program = match self.family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        let input = restore(rules, self.family, &before);
        run(program, &["--wait", TURN, "--noflush"], &input).await?;
        if self.tool.is_none() {
            // An agent that had to do with the other program may have left a table there.
            let table = ["delete", "table", self.family.nft(), TABLE];
            if let Err(error) = run("nft", &table, "").await {
                tracing::debug!(%error, "no table of nftables was taken away");
            }
        }
        self.saved().await.map(Standing::Iptables)
    }

    async fn put_by_nft(&self, rules: &[Rule]) -> Result<Standing, TablesError> {
        run("nft", &["-f", "-"], &ruleset(rules, self.family)).await?;
        self.listed().await.map(Standing::Nft)
    }

    async fn saved(&self) -> Result<Ours, TablesError> {
        let program = match self.family {
            Family::V4 => "iptables-save",
            Family::V6 => "ip6tables-save",
        };
        run(program, &["-t", "filter"], "")
            .await
            .map(|text| ours(&text))
    }

    async fn listed(&self) -> Result<String, TablesError> {
        run("nft", &["list", "table", self.family.nft(), TABLE], "").await
    }
}

/// Runs a program of the system and returns what it says.
async fn run(
    program: &'static str,
    arguments: &[&str],
    input: &str,
) -> Result<String, TablesError> {
    let failed = |source| TablesError::Program { program, source };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ended = async {
        let written = async {
            if let Some(mut stdin) = stdin {
                // One that does not read has its reasons, and says so.
                drop(stdin.write_all(input.as_bytes()).await);
            }
        };
        let ((), said, complained) = tokio::join!(written, read(stdout), read(stderr));
        Ok::<_, io::Error>((said?, complained?, child.wait().await?))
    };
    let ended = tokio::time::timeout(LIMIT, ended).await;
    let ended = ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let (said, complained, status) = ended.map_err(failed)?;
    if status.success() {
        return Ok(said);
    }
    let first = complained.lines().find(|line| !line.trim().is_empty());
    let words = first.unwrap_or("it does not say why");
    Err(TablesError::Failed {
        program,
        words: words.chars().take(MAX_WORDS).collect(),
    })
}

/// All that comes, to a bound: what is more stops the program.
async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(MAX_TABLE).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
