//! The terminal while a program on a device has it: every key goes there as it is, and all that the program writes comes as it is.
//!
//! The modes that the terminal had are put back at the end, at a panic (which ends the program without clean-up), and when a person
//! insists on the end.

use std::{
    io::{self, Write as _},
    sync::{Mutex, Once},
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The modes to put back.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The terminal passes every key on. Dropping it puts the modes back.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Takes the terminal that standard input is.
    pub fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        HOOK.call_once(|| {
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                hook(panic);
            }));
        });
        if let Ok(mut kept) = BEFORE.lock() {
            kept.get_or_insert(before);
        }
        let guard = Self(());
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(guard)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Asks a person by `ask`. A question changes the modes, and whoever is asked may end it all: they are put back then, too.
pub fn asking<T>(ask: impl FnOnce() -> dialoguer::Result<T>) -> io::Result<T> {
    let before = tcgetattr(io::stdin())?;
    if let Ok(mut kept) = BEFORE.lock() {
        kept.get_or_insert(before);
    }
    let asked = ask().map_err(|dialoguer::Error::IO(error)| error);
    restore();
    asked
}

/// Puts the modes back, if they were changed.
pub fn restore() {
    // Whoever holds the lock is putting them back.
    if let Ok(mut kept) = BEFORE.try_lock()
        && let Some(before) = kept.take()
    {
        // A terminal that is gone has no modes.
        let _is_back = tcsetattr(io::stdin(), OptionalActions::Now, &before).is_ok();
    }
}

/// Columns and lines of the terminal that standard input or output is.
#[must_use]
pub fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stdin()));
    let size = size.ok()?;
    Some((size.ws_col, size.ws_row)).filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// Bytes of a program's standard output.
pub fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// The same, as they come.
pub fn stream_stdout<T, E: From<io::Error>>(
    write: impl FnOnce(&mut dyn io::Write) -> Result<T, E>,
) -> Result<T, E> {
    let mut stdout = io::stdout().lock();
    let written = write(&mut stdout)?;
    stdout.flush()?;
    Ok(written)
}

/// Bytes of a program's standard error.
pub fn write_stderr(bytes: &[u8]) -> io::Result<()> {
    io::stderr().lock().write_all(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn visit(folder: &Path, see: &mut impl FnMut(&Path, &str)) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, see);
            } else if path.extension().is_some_and(|end| end == "rs") {
                see(&path, &fs_err::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_question_is_asked_here() {
        let asks = concat!(".inter", "act");
        let here = concat!("terminal::", "asking(");
        let mut count = 0;
        visit(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut |path, text| {
                let questions = text.lines().filter(|line| line.contains(asks)).count();
                let guarded = text
                    .lines()
                    .filter(|line| line.contains(here) && line.contains(asks));
                assert_eq!(questions, guarded.count(), "{}", path.display());
                count += questions;
            },
        );
        assert!(count > 9, "{count}");
    }
}
