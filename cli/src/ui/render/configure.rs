//! What `os configure` asks; what it has done is said as for every image.

use std::{io, path::PathBuf};

use dialoguer::{Confirm, Input, Password, Select, theme::ColorfulTheme};

use crate::ui::{Console, style::neutralise, terminal};

/// How a device comes into its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// By a wire, of which nothing has to be said.
    Ethernet,
    /// By Wi-Fi.
    Wifi,
}

/// Nothing was asked for.
pub fn nothing(console: &Console) -> io::Result<()> {
    console.say("nothing to configure");
    Ok(())
}

/// Asks for a host name. Blocks, as all that follow do.
pub fn hostname() -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme)
        .with_prompt("Host name (empty: the beginning of its uuid)")
        .allow_empty(true);
    terminal::asking(|| question.interact_text())
}

/// Asks for development mode.
pub fn development() -> io::Result<bool> {
    let theme = ColorfulTheme::default();
    let question = Confirm::with_theme(&theme)
        .with_prompt("Development mode? Everybody in its network may then push to it")
        .default(false);
    terminal::asking(|| question.interact())
}

/// Asks which of these files of public keys may log in; `None`: none of them.
pub fn ssh_key(files: &[PathBuf]) -> io::Result<Option<usize>> {
    let items = files
        .iter()
        .map(|file| neutralise(&file.display().to_string()).into_owned());
    let items: Vec<String> = items.chain(["none".to_owned()]).collect();
    let theme = ColorfulTheme::default();
    let question = Select::with_theme(&theme)
        .with_prompt("Who may log in by SSH?")
        .items(&items)
        .default(0);
    let chosen = terminal::asking(|| question.interact())?;
    Ok(Some(chosen).filter(|index| *index < files.len()))
}

/// Asks how the device comes into its network.
pub fn network() -> io::Result<Network> {
    let theme = ColorfulTheme::default();
    let question = Select::with_theme(&theme)
        .with_prompt("Network?")
        .items(["Ethernet (or as the image has it)", "Wi-Fi"])
        .default(0);
    let chosen = terminal::asking(|| question.interact())?;
    Ok(if chosen == 1 {
        Network::Wifi
    } else {
        Network::Ethernet
    })
}

/// Asks for the name of a Wi-Fi network.
pub fn wifi_name() -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme).with_prompt("Name of the Wi-Fi network");
    terminal::asking(|| question.interact_text())
}

/// Asks whether it tells its name.
pub fn wifi_hidden() -> io::Result<bool> {
    let theme = ColorfulTheme::default();
    let question = Confirm::with_theme(&theme)
        .with_prompt("Does it hide its name?")
        .default(false);
    terminal::asking(|| question.interact())
}

/// Asks for its password; nothing for an open one.
pub fn wifi_key(ssid: &str) -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Password::with_theme(&theme)
        .with_prompt(format!(
            "Password of {} (empty: it has none)",
            neutralise(ssid)
        ))
        .allow_empty_password(true);
    terminal::asking(|| question.interact())
}

/// Asks for the password of one that is not open.
pub fn wifi_password(ssid: &str) -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question =
        Password::with_theme(&theme).with_prompt(format!("Password of {}", neutralise(ssid)));
    terminal::asking(|| question.interact())
}
