//! What `os ssh` and `os exec` ask and say; the rest is said by the program that they run.

use std::{io, path::Path};

use dialoguer::{Confirm, Password, theme::ColorfulTheme};

use crate::ui::{Console, style::neutralise, terminal};

/// A key that is not known yet; a person is asked about it where one can be.
pub fn new_key(console: &Console, device: &str, algorithm: &str, fingerprint: &str) {
    let line = format!(
        "{} shows a key that is not known yet: {} {}",
        neutralise(device),
        neutralise(algorithm),
        neutralise(fingerprint)
    );
    if console.may_prompt() {
        console.ask(&line);
    } else {
        console.say(&line);
    }
}

/// A key that is not known yet, and that the device announces.
pub fn announced_key(console: &Console, device: &str, fingerprint: &str) {
    console.detail(&format!(
        "{} shows the key that it announces in the local network: {}",
        neutralise(device),
        neutralise(fingerprint)
    ));
}

/// A key that is known from now on.
pub fn key_accepted(console: &Console, device: &str, fingerprint: &str, file: &Path) {
    let device = neutralise(device);
    console.say(&format!(
        "{device} is known by {fingerprint} from now on (in {})",
        file.display()
    ));
}

/// Asks whether a key is the device's. Blocks.
pub fn trusts(device: &str) -> io::Result<Option<bool>> {
    let theme = ColorfulTheme::default();
    let question = Confirm::with_theme(&theme)
        .with_prompt(format!("Is it the key of {}?", neutralise(device)))
        .default(false);
    terminal::asking(|| question.interact_opt())
}

/// Asks for what opens a key. Blocks.
pub fn passphrase(file: &Path, again: bool) -> io::Result<String> {
    let file = neutralise(&file.display().to_string()).into_owned();
    let prompt = if again {
        format!("That was wrong. Passphrase of {file}")
    } else {
        format!("Passphrase of {file}")
    };
    let theme = ColorfulTheme::default();
    let question = Password::with_theme(&theme)
        .with_prompt(prompt)
        .allow_empty_password(true);
    terminal::asking(|| question.interact())
}
