//! Which lines of a configuration count for a host: `Host`, `Match` and `Include`. Pure: files come from the caller.

use std::path::{Path, PathBuf};

use super::{
    ConfigError, Notice, Settings, Subject, Untaken,
    settings::Taken,
    words::{criteria, keyword, words},
};
use crate::transport::ssh::pattern;

/// `Include` in `Include` in …; OpenSSH allows as many.
const DEEPEST: usize = 16;
/// Files of one configuration.
const MOST_FILES: usize = 256;
/// Bytes of one file.
pub(super) const LARGEST: usize = 1 << 20;
/// Lines of one file.
const MOST_LINES: usize = 20_000;
/// Notices that are worth reading.
const MOST_NOTICES: usize = 100;

/// A file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it lies; only for words.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Reads on; finds the files that an `Include` means.
pub(super) struct Reader<'a> {
    subject: &'a Subject,
    find: &'a mut dyn FnMut(&str) -> Result<Vec<File>, ConfigError>,
    pub(super) settings: Settings,
    pub(super) notices: Vec<Notice>,
    files: usize,
}

/// A line of a file, for words.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a Path,
    line: usize,
}

impl Place<'_> {
    fn wrong(self, option: &str, because: &'static str) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            line: self.line,
            option: option.chars().take(64).collect(),
            because,
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        subject: &'a Subject,
        find: &'a mut dyn FnMut(&str) -> Result<Vec<File>, ConfigError>,
    ) -> Self {
        Self {
            settings: Settings {
                // Said on the command line, they come first.
                user: subject.user.clone(),
                port: subject.port,
                ..Settings::default()
            },
            subject,
            find,
            notices: Vec::new(),
            files: 0,
        }
    }

    /// Reads a file that counts from its first line.
    pub(super) fn read(&mut self, file: &File, depth: usize) -> Result<(), ConfigError> {
        let path = file.path.as_path();
        let bound = |what| ConfigError::Bound {
            path: path.to_owned(),
            what,
        };
        self.files += 1;
        if self.files > MOST_FILES {
            return Err(bound("the configuration has more than 256 files"));
        }
        if depth > DEEPEST {
            return Err(bound("it is included more than 16 levels deep"));
        }
        if file.content.len() > LARGEST {
            return Err(bound("it is larger than 1 MiB"));
        }
        let text = String::from_utf8_lossy(&file.content);
        let mut counts = true;
        for (index, line) in text.lines().enumerate() {
            if index >= MOST_LINES {
                return Err(bound("it has more than 20000 lines"));
            }
            let Some((name, raw)) = keyword(line) else {
                continue;
            };
            let place = Place {
                path,
                line: index + 1,
            };
            match name.as_str() {
                "host" => {
                    counts = self
                        .host(raw)
                        .map_err(|because| place.wrong("Host", because))?;
                }
                "match" => counts = self.criteria(raw, place)?,
                _ if !counts => {}
                "include" => self.include(raw, place, depth)?,
                _ => self.option(&name, raw, place)?,
            }
        }
        Ok(())
    }

    fn host(&self, raw: &str) -> Result<bool, &'static str> {
        let patterns = words(raw).map_err(|_| QUOTE)?;
        if patterns.is_empty() {
            return Err("the value is missing");
        }
        Ok(pattern::listed(
            &self.subject.host,
            patterns.iter().map(String::as_str),
        ))
    }

    /// Whether a `Match` block counts. One with a criterion that is not judged here never does.
    fn criteria(&mut self, raw: &str, place: Place<'_>) -> Result<bool, ConfigError> {
        let wrong = |because| place.wrong("Match", because);
        let parts = criteria(raw).map_err(|_| wrong(QUOTE))?;
        let mut parts = parts.iter();
        let mut counts = true;
        let mut any = false;
        while let Some(part) = parts.next() {
            any = true;
            let (negated, name) = match part.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, part.as_str()),
            };
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "all" => {
                    if negated || parts.next().is_some() {
                        return Err(wrong("`all` stands alone"));
                    }
                    return Ok(counts);
                }
                "canonical" | "final" => {}
                _ => {
                    let value = parts.next().filter(|value| !value.is_empty());
                    let value = value.ok_or_else(|| wrong("a criterion has no value"))?;
                    if let Some(fits) = self.fits(&name, value) {
                        counts &= fits != negated;
                        continue;
                    }
                }
            }
            if counts {
                self.notice(place, Untaken::Criterion(name));
            }
            counts = false;
        }
        if any {
            Ok(counts)
        } else {
            Err(wrong("the value is missing"))
        }
    }

    /// Whether a criterion is met; `None` when it cannot be told here.
    fn fits(&self, name: &str, patterns: &str) -> Option<bool> {
        let subject = self.subject;
        let expanded;
        let text = match name {
            "host" => match &self.settings.host_name {
                Some(name) => {
                    expanded = name.replace("%h", &subject.host).replace("%%", "%");
                    &expanded
                }
                None => &subject.host,
            },
            "originalhost" => &subject.host,
            "user" => self.settings.user.as_ref().unwrap_or(&subject.local_user),
            "localuser" => &subject.local_user,
            _ => return None,
        };
        Some(pattern::listed(text, patterns.split(',')))
    }

    fn include(&mut self, raw: &str, place: Place<'_>, depth: usize) -> Result<(), ConfigError> {
        let patterns = words(raw).map_err(|_| place.wrong("Include", QUOTE))?;
        if patterns.is_empty() {
            return Err(place.wrong("Include", "the value is missing"));
        }
        for pattern in &patterns {
            for file in (self.find)(pattern)? {
                self.read(&file, depth + 1)?;
            }
        }
        Ok(())
    }

    fn option(&mut self, name: &str, raw: &str, place: Place<'_>) -> Result<(), ConfigError> {
        let split = words(raw);
        // What follows a command is the shell's, quotes and all.
        let split = match (name, split) {
            ("proxycommand", _) => Vec::new(),
            (_, Ok(words)) => words,
            (_, Err(_)) => return Err(place.wrong(name, QUOTE)),
        };
        let taken = self.settings.take(name, raw, &split);
        match taken.map_err(|because| place.wrong(name, because))? {
            Taken::Yes => {}
            Taken::Unknown => self.notice(place, Untaken::Option(name.chars().take(64).collect())),
        }
        Ok(())
    }

    fn notice(&mut self, place: Place<'_>, what: Untaken) {
        let known = self.notices.iter().any(|notice| notice.what == what);
        if !known && self.notices.len() < MOST_NOTICES {
            self.notices.push(Notice {
                path: place.path.to_owned(),
                line: place.line,
                what,
            });
        }
    }
}

const QUOTE: &str = "a quote is not closed";
