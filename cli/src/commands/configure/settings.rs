//! Options that become keys of config.json.

use std::path::PathBuf;

use clap::{ArgAction, ValueHint};

use crate::{
    commands::{Context, given},
    failure::Failure,
    provision::{Wishes, country, public_key},
};

/// What a device is to be.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct Settings {
    /// Configuration to begin with, in the place of the image's; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Development mode: everybody in the device's network may push to it, and log in as root unless --ssh-key says who may
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    dev: Option<bool>,
    /// Host name; without one the device takes the beginning of its uuid
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Name that the device has in a fleet at first
    #[arg(long, value_name = "NAME")]
    initial_device_name: Option<String>,
    /// File with public keys that may log in by SSH; may be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    ssh_key: Vec<PathBuf>,
    /// Keep logs over restarts
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set)]
    persistent_logging: Option<bool>,
    /// Address of a server of names, with #PORT behind it where that is not 53; may be repeated. `none`, alone: only those of the network, and not the usual one
    #[arg(long, value_name = "SERVER")]
    dns: Vec<String>,
    /// Name or address of a server of the time; may be repeated
    #[arg(long, value_name = "SERVER")]
    ntp: Vec<String>,
    /// Country whose rules for radio the device keeps to: two letters
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// Certificates (PEM) that the device trusts beside the usual ones
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    root_ca: Option<PathBuf>,
}

impl Settings {
    /// What they ask for.
    pub(in crate::commands) fn wishes(&self, context: &Context) -> Result<Wishes, Failure> {
        let mut wishes = Wishes::default();
        if let Some(path) = &self.config {
            wishes.config = Some(given::configuration(context, path)?);
        }
        let mut set = |key: &'static str, typed: Option<String>| {
            wishes.keys.extend(typed.map(|typed| (key, typed)));
        };
        let words = |words: &[String]| (!words.is_empty()).then(|| words.join(" "));
        set("developmentMode", self.dev.map(|is_on| is_on.to_string()));
        set("hostname", self.hostname.clone());
        set("initialDeviceName", self.initial_device_name.clone());
        set(
            "persistentLogging",
            self.persistent_logging.map(|is_on| is_on.to_string()),
        );
        set(
            "dnsServers",
            words(&self.dns).map(|dns| {
                if dns == "none" {
                    "null".to_owned()
                } else {
                    dns
                }
            }),
        );
        set("ntpServers", words(&self.ntp));
        set("country", self.country.as_deref().map(country).transpose()?);
        if let Some(path) = &self.root_ca {
            let found = given::certificates(context, "--root-ca ", path)?;
            set("balenaRootCA", Some(found.encoded()));
        }
        for path in &self.ssh_key {
            let text = given::text(context, path)?;
            wishes
                .ssh_keys
                .extend(public_key(&path.display().to_string(), &text)?);
        }
        Ok(wishes)
    }
}
