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
    /// By Wi-Fi that asks for a name, as companies have it.
    Enterprise,
}

/// How a name is proved to a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proved {
    /// By PEAP.
    Peap,
    /// By TTLS.
    Ttls,
}

/// Nothing was asked for.
pub fn nothing(console: &Console) -> io::Result<()> {
    console.say("nothing to configure");
    Ok(())
}

/// Asks for a text, which may be empty, until it can be taken. Blocks, as all that follow do.
fn text(prompt: &str, check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme)
        .with_prompt(prompt)
        .validate_with(|typed: &String| check(typed))
        .allow_empty(true);
    terminal::asking(|| question.interact_text())
}

/// Asks for a host name.
pub fn hostname(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    text("Host name (empty: the beginning of its uuid)", check)
}

/// Asks whether to go on asking.
pub fn more() -> io::Result<bool> {
    confirmed("More settings? Logs, time, names, country, a fixed address, a mobile network")
}

/// Asks whether logs are kept.
pub fn persistent_logging() -> io::Result<bool> {
    confirmed("Keep logs over restarts?")
}

/// Asks for servers of the time.
pub fn ntp_servers(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    text(
        "Servers of the time, with blanks between them (empty: the usual ones)",
        check,
    )
}

/// Asks for servers of names.
pub fn dns_servers(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    text(
        "Addresses of servers of names, with blanks between them (empty: those of the network)",
        check,
    )
}

/// Asks for a country.
pub fn country(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    text(
        "Country whose rules for radio it keeps to, two letters (empty: none)",
        check,
    )
}

/// Asks for an address of its own in the network with a wire.
pub fn fixed_address(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    text(
        "Fixed address for Ethernet, like 192.168.1.5/24 (empty: the network gives one)",
        or_nothing(check),
    )
}

/// Asks for the way from there to other networks.
pub fn gateway(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    text("Gateway to other networks (empty: none)", check)
}

/// Asks for the access point of a mobile network.
pub fn access_point(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    text(
        "Access point (APN) of a mobile network (empty: none)",
        or_nothing(check),
    )
}

/// What is not asked for is not looked at.
fn or_nothing(check: impl Fn(&str) -> Result<(), String>) -> impl Fn(&str) -> Result<(), String> {
    move |typed| match typed {
        "" => Ok(()),
        typed => check(typed),
    }
}

fn confirmed(prompt: &str) -> io::Result<bool> {
    let theme = ColorfulTheme::default();
    let question = Confirm::with_theme(&theme)
        .with_prompt(prompt)
        .default(false);
    terminal::asking(|| question.interact())
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
        .items([
            "Ethernet (or as the image has it)",
            "Wi-Fi",
            "Wi-Fi with a name and a password (enterprise)",
        ])
        .default(0);
    let chosen = terminal::asking(|| question.interact())?;
    Ok(match chosen {
        0 => Network::Ethernet,
        1 => Network::Wifi,
        _ => Network::Enterprise,
    })
}

/// Asks for the name of a Wi-Fi network.
pub fn wifi_name(check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme)
        .with_prompt("Name of the Wi-Fi network")
        .validate_with(|typed: &String| check(typed));
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
pub fn wifi_key(ssid: &str, check: impl Fn(&str) -> Result<(), String>) -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let check = or_nothing(check);
    let question = Password::with_theme(&theme)
        .with_prompt(format!(
            "Password of {} (empty: it has none)",
            neutralise(ssid)
        ))
        .validate_with(|typed: &String| check(typed))
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

/// Asks for the name by which it knows the device.
pub fn identity(ssid: &str) -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme).with_prompt(format!("Name for {}", neutralise(ssid)));
    terminal::asking(|| question.interact_text())
}

/// Asks for the name that those who listen may know; nothing for none.
pub fn anonymous_identity() -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme)
        .with_prompt("Name that those who listen may know (empty: the same)")
        .allow_empty(true);
    terminal::asking(|| question.interact_text())
}

/// Asks how the name is proved.
pub fn proved() -> io::Result<Proved> {
    let theme = ColorfulTheme::default();
    let question = Select::with_theme(&theme)
        .with_prompt("By which protocol?")
        .items(["PEAP (MSCHAPv2)", "TTLS (PAP)"])
        .default(0);
    let chosen = terminal::asking(|| question.interact())?;
    Ok(if chosen == 1 {
        Proved::Ttls
    } else {
        Proved::Peap
    })
}

/// Asks for the file with the network's certificates; nothing for those of usual authorities.
pub fn authority() -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme)
        .with_prompt("File with the certificates of the network (empty: a usual authority)")
        .allow_empty(true);
    terminal::asking(|| question.interact_text())
}

/// Asks for the end of the name of the network's server; nothing for any.
pub fn domain() -> io::Result<String> {
    let theme = ColorfulTheme::default();
    let question = Input::with_theme(&theme)
        .with_prompt("End of the name in its certificate (empty: any)")
        .allow_empty(true);
    terminal::asking(|| question.interact_text())
}

/// Asks whether anybody may be taken for the network.
pub fn any_server(ssid: &str) -> io::Result<bool> {
    let theme = ColorfulTheme::default();
    let question = Confirm::with_theme(&theme)
        .with_prompt(format!(
            "Take any network that is called {} for the right one? It hears the password then",
            neutralise(ssid)
        ))
        .default(false);
    terminal::asking(|| question.interact())
}
