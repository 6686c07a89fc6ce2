//! Rules in the kernel, by the system's programs. Decides nothing but which program works.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::decide::Rule;
use super::written::{Family, Ours, TABLE, ours, restore, ruleset};

/// So often `iptables` fails in a row from the start on before it is taken for one that does not work here.
const FAILURES: u32 = 2;
/// For one run of a program.
const LIMIT: Duration = Duration::from_secs(20);
/// Seconds for which a program waits until others have done.
const TURN: &str = "5";
/// Nothing tells when somebody else flushes the rules: they are looked at this often.
pub(super) const LOOK_EVERY: Duration = Duration::from_mins(1);
/// And this soon where they could not be put in place.
const LOOK_SOON: Duration = Duration::from_secs(2);
/// Bytes of a table; one with more rules is not ours to judge.
const MAX_TABLE: u64 = 4 * 1024 * 1024;
/// Letters of a program's words that are told.
const MAX_WORDS: usize = 200;

/// Why the rules are not in the kernel.
#[derive(Debug, Error)]
enum TablesError {
    /// It could not be run: the system does not have it.
    #[error("`{program}` could not be run: {source}")]
    Program {
        program: &'static str,
        source: io::Error,
    },
    /// It did not come to an end.
    #[error("`{program}` was given up: {source}")]
    Endless {
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
    /// Where programs are, if not where the system looks for them.
    programs: Option<PathBuf>,
    /// That which worked last.
    tool: Option<Tool>,
    /// What was wanted last, and how it was found.
    kept: Option<(Vec<Rule>, Standing)>,
    /// How often in a row `iptables` has failed; `None` once it has worked.
    failures: Option<u32>,
    /// What was last told of a failure.
    told: Option<String>,
    /// How often in a row the rules could not be put in place.
    in_vain: u32,
}

impl Keeper {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            programs: None,
            tool: None,
            kept: None,
            failures: Some(0),
            told: None,
            in_vain: 0,
        }
    }

    /// How long the rules may be left to themselves. Where they are not in place the device is open: that is tried again soon, and then more
    /// and more rarely, since it may be a system that lets nobody do it.
    pub(super) fn pause(&self) -> Duration {
        match self.in_vain.checked_sub(1) {
            None => LOOK_EVERY,
            Some(count) => LOOK_SOON
                .saturating_mul(2_u32.saturating_pow(count))
                .min(LOOK_EVERY),
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
                self.in_vain = 0;
            }
            Err(words) => {
                self.kept = None;
                self.in_vain = self.in_vain.saturating_add(1);
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

    /// By `iptables`, as the engine does it; by `nft` on a system that has no other, or one with which the kernel does not work. One that
    /// has worked, or failed only once, may work the next time: two sets of rules in the kernel would not be one another's.
    async fn put(&mut self, rules: &[Rule]) -> Result<(Tool, Standing), String> {
        let missing = match self.put_by_iptables(rules).await {
            Ok(standing) => {
                self.failures = None;
                return Ok((Tool::Iptables, standing));
            }
            Err(error @ TablesError::Program { .. }) => error,
            Err(error) => {
                self.failures = self.failures.map(|count| count.saturating_add(1));
                let is_of_no_use = self.failures.is_some_and(|count| count >= FAILURES);
                if !is_of_no_use && self.tool != Some(Tool::Nft) {
                    return Err(error.to_string());
                }
                error
            }
        };
        match self.put_by_nft(rules).await {
            Ok(standing) => Ok((Tool::Nft, standing)),
            Err(error) => Err(format!("{missing}; {error}")),
        }
    }

    async fn put_by_iptables(&self, rules: &[Rule]) -> Result<Standing, TablesError> {
        let before = self.saved().await?;
        let program = match self.family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        };
        let input = restore(rules, self.family, &before);
        self.run(program, &["--wait", TURN, "--noflush"], &input)
            .await?;
        if self.tool != Some(Tool::Iptables) {
            // What had to do with the other program before has left a table there.
            let table = ["delete", "table", self.family.nft(), TABLE];
            if let Err(error) = self.run("nft", &table, "").await {
                tracing::debug!(%error, "no table of nftables was taken away");
            }
        }
        self.saved().await.map(Standing::Iptables)
    }

    async fn put_by_nft(&self, rules: &[Rule]) -> Result<Standing, TablesError> {
        self.run("nft", &["-f", "-"], &ruleset(rules, self.family))
            .await?;
        self.listed().await.map(Standing::Nft)
    }

    async fn saved(&self) -> Result<Ours, TablesError> {
        let program = match self.family {
            Family::V4 => "iptables-save",
            Family::V6 => "ip6tables-save",
        };
        self.run(program, &["-t", "filter"], "")
            .await
            .map(|text| ours(&text))
    }

    async fn listed(&self) -> Result<String, TablesError> {
        self.run("nft", &["list", "table", self.family.nft(), TABLE], "")
            .await
    }

    async fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, TablesError> {
        let file = match &self.programs {
            Some(folder) => folder.join(program).into(),
            None => program.into(),
        };
        run(file, program, arguments, input).await
    }
}

/// Runs a program of the system and returns what it says.
async fn run(
    file: OsString,
    program: &'static str,
    arguments: &[&str],
    input: &str,
) -> Result<String, TablesError> {
    let mut child = Command::new(file)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| TablesError::Program { program, source })?;
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
    let (said, complained, status) =
        ended.map_err(|source| TablesError::Endless { program, source })?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::decide::{Packets, Verdict};
    use super::*;

    /// A program that notes its name, and fails while a file `fails`, or `NAME-fails`, stands beside it. It is written by another process: one that has a file open
    /// for writing cannot run it, and neither can its children.
    fn program(folder: &Path, name: &str) {
        let text = format!(
            "#!/bin/sh\ncat >/dev/null\necho {name} >>{0}/ran\n[ ! -e {0}/fails ] && [ ! -e {0}/{name}-fails ]\n",
            folder.display()
        );
        let file = folder.join(name).display().to_string();
        let script = "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"";
        let written = std::process::Command::new("sh")
            .args(["-c", script, "sh", &text, &file])
            .status();
        assert!(written.unwrap().success());
    }

    fn ran(folder: &Path) -> Vec<String> {
        let text = fs_err::read_to_string(folder.join("ran")).unwrap_or_default();
        drop(fs_err::remove_file(folder.join("ran")));
        text.lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn the_other_program_is_for_systems_without_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        for name in ["iptables-save", "iptables-restore", "nft"] {
            program(place, name);
        }
        let mut keeper = Keeper {
            programs: Some(place.to_owned()),
            ..Keeper::new(Family::V4)
        };
        let rules = [Rule(Packets::Any, Verdict::Return)];
        // Somebody else is at the tables for longer than it waits.
        fs_err::write(place.join("fails"), "").unwrap();
        keeper.keep(&rules).await;
        assert_eq!(ran(place), ["iptables-save"]);
        assert_eq!(keeper.tool, None);
        fs_err::remove_file(place.join("fails")).unwrap();
        keeper.keep(&rules).await;
        assert_eq!(keeper.tool, Some(Tool::Iptables));
        assert!(ran(place).contains(&"iptables-restore".to_owned()));

        // It is removed, and comes back with the next change.
        for name in ["iptables-save", "iptables-restore"] {
            fs_err::remove_file(place.join(name)).unwrap();
        }
        keeper.keep(&rules).await;
        assert_eq!(keeper.tool, Some(Tool::Nft));
        assert_eq!(ran(place), ["nft", "nft"]);
        for name in ["iptables-save", "iptables-restore"] {
            program(place, name);
        }
        keeper.keep(&[]).await;
        assert_eq!(keeper.tool, Some(Tool::Iptables));
        let last = ["iptables-save", "iptables-restore", "nft", "iptables-save"];
        assert_eq!(ran(place), last, "its table is taken away");
    }

    #[tokio::test]
    async fn a_first_program_that_never_works_is_left_and_one_that_has_worked_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        for name in ["iptables-save", "iptables-restore", "nft"] {
            program(place, name);
        }
        let keeper = || Keeper {
            programs: Some(place.to_owned()),
            ..Keeper::new(Family::V4)
        };
        let rules = [Rule(Packets::Any, Verdict::Return)];
        let fails = place.join("iptables-restore-fails");
        // The kernel has nothing for it.
        fs_err::write(&fails, "").unwrap();
        let mut never = keeper();
        never.keep(&rules).await;
        assert_eq!(never.tool, None);
        assert_eq!(never.pause(), LOOK_SOON);
        never.keep(&rules).await;
        assert_eq!(never.tool, Some(Tool::Nft));
        assert_eq!(never.pause(), LOOK_EVERY);
        ran(place);
        never.keep(&[]).await;
        assert_eq!(
            ran(place),
            ["iptables-save", "iptables-restore", "nft", "nft"]
        );

        fs_err::remove_file(&fails).unwrap();
        let mut once = keeper();
        once.keep(&rules).await;
        fs_err::write(&fails, "").unwrap();
        for pause in [2, 4, 8, 16, 32, 60, 60] {
            once.keep(&[]).await;
            assert_eq!(once.pause(), Duration::from_secs(pause));
        }
        assert_eq!(once.tool, Some(Tool::Iptables), "it may work again");
        fs_err::remove_file(&fails).unwrap();
        once.keep(&[]).await;
        assert_eq!(once.pause(), LOOK_EVERY);
    }
}
