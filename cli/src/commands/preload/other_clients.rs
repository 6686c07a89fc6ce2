//! Flags that the reference's client has.

use std::path::{Path, PathBuf};

use clap::ArgAction;

use crate::{
    commands::Context,
    failure::{Failure, Kind},
};

/// They are understood, and not shown.
#[derive(Debug, clap::Args)]
pub(super) struct OtherClients {
    /// Not what this system's agent does.
    #[arg(long, hide = true, overrides_with = "no_pin_device_to_release")]
    pin_device_to_release: bool,
    /// Accepted for scripts of other clients.
    #[arg(long, hide = true)]
    no_pin_device_to_release: bool,
    /// Accepted for scripts of other clients.
    #[arg(long, hide = true, value_name = "BYTES")]
    additional_space: Option<u64>,
    /// Another command's.
    #[arg(long, short = 's', hide = true, value_name = "FILE")]
    splash_image: Option<String>,
    /// The engine's.
    #[arg(long, hide = true, value_name = "FILE", action = ArgAction::Append)]
    add_certificate: Vec<String>,
}

/// What somebody may have meant whose options have other meanings here: `-f FLEET`, and `-c COMMIT`.
pub(super) fn meant(failure: Failure, files: &[PathBuf], source: &Path) -> Failure {
    let is_slug = |text: &str| text.split('/').count() == 2 && !text.contains(['.', '\\']);
    let fleet = files.iter().find_map(|file| file.to_str());
    if let Some(fleet) = fleet.filter(|text| is_slug(text)) {
        return failure.hint(format!("a fleet is named by `--fleet {fleet}`"));
    }
    let is_commit =
        |text: &str| text.len() > 6 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match source.to_str().filter(|text| is_commit(text)) {
        Some(commit) => failure.hint(format!(
            "a release is named by `--fleet FLEET --commit {commit}`"
        )),
        None => failure,
    }
}

impl OtherClients {
    /// Those that change nothing here are said to, those that would are refused.
    pub(super) fn check(&self, context: &Context) -> Result<(), Failure> {
        for (given, name, instead) in [
            (
                self.pin_device_to_release,
                "--pin-device-to-release",
                "a device follows its fleet once it has joined: pin it in the cloud then; until then it runs what is preloaded",
            ),
            (
                self.splash_image.is_some(),
                "--splash-image",
                "`os configure --splash FILE` puts one into an image",
            ),
            (
                !self.add_certificate.is_empty(),
                "--add-certificate",
                "the engine fetches the images: it trusts what lies in /etc/docker/certs.d/REGISTRY/ca.crt",
            ),
        ] {
            if given {
                let words = format!("os preload has no {name}");
                return Err(Failure::new(Kind::Usage, words).hint(instead));
            }
        }
        if self.additional_space.is_some() {
            context
                .console
                .say("--additional-space changes nothing: the partition grows as far as it has to");
        }
        Ok(())
    }
}
