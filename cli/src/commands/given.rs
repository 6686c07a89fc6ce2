//! What a command line names: files, and secrets that do not stand in it.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    commands::Context,
    env::Paths,
    failure::{Failure, Kind},
    provision::{
        Certificates, Secret,
        config::{ConfigError, Document},
    },
};

/// Bytes of a file that is named.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of a secret.
const MOST_SECRET: usize = 64 * 1024;

/// All of a file, of standard input where its name is `-`.
pub(super) fn bytes(context: &Context, path: &Path) -> Result<Vec<u8>, Failure> {
    up_to(context, path, MOST_BYTES)
}

/// The same, of at most so many bytes.
pub(super) fn up_to(context: &Context, path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let read = || -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        if path == Path::new("-") {
            io::stdin()
                .lock()
                .take(most.saturating_add(1))
                .read_to_end(&mut all)?;
        } else {
            let path = absolute(context, path);
            fs_err::File::open(path)?
                .take(most.saturating_add(1))
                .read_to_end(&mut all)?;
        }
        if u64::try_from(all.len()).unwrap_or(u64::MAX) > most {
            return Err(io::Error::other(format!(
                "{} is larger than the {} MiB that it can have",
                path.display(),
                most / (1024 * 1024)
            )));
        }
        Ok(all)
    };
    read().map_err(|error| Failure::from_error(Kind::Usage, &error))
}

/// A text of one file.
pub(super) fn text(context: &Context, path: &Path) -> Result<String, Failure> {
    let bytes = bytes(context, path)?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Kind::Usage, format!("{} is no text", path.display())))
}

/// A configuration of one file, by whose name it is called where it is none.
pub(super) fn configuration(context: &Context, path: &Path) -> Result<Document, Failure> {
    Document::read(&bytes(context, path)?).map_err(|error| match error {
        ConfigError::NoObject(words) => {
            let words = format!("{} is no JSON object: {words}", path.display());
            Failure::new(Kind::Usage, words)
                .hint("it is to hold what config.json holds: `os config generate` makes one")
        }
        error => error.into(),
    })
}

/// Certificates of one file; words call it by its path, behind this.
pub(super) fn certificates(
    context: &Context,
    option: &str,
    path: &Path,
) -> Result<Certificates, Failure> {
    let name = format!("{option}{}", path.display());
    Ok(Certificates::read(&name, bytes(context, path)?)?)
}

/// A secret: of a file, or else of a variable. One line end at its end is none of it.
pub(super) fn secret(
    context: &Context,
    file: Option<&Path>,
    variable: &str,
) -> Result<Option<Secret>, Failure> {
    let Some(file) = file else {
        return Ok(context.environment.variable(variable).map(Secret::new));
    };
    let text = text(context, file)?;
    if text.len() > MOST_SECRET {
        let words = format!("{} holds more than a secret", file.display());
        return Err(Failure::new(Kind::Usage, words));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(Some(Secret::new(text)))
}

/// A path as it was typed, from the folder in which that was.
pub(super) fn absolute(context: &Context, path: &Path) -> PathBuf {
    Paths::absolute(&context.environment.current_dir, path)
}
