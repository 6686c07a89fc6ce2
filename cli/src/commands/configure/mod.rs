//! `os configure`: an image for a device that belongs to no fleet.

mod ask;
mod networks;
mod settings;

use std::path::PathBuf;

use clap::ValueHint;

use super::{
    Context,
    config::{document, looked_at},
    disk::Place,
    given,
};
use crate::{
    failure::{Failure, Kind},
    image::Purpose,
    provision::{Secret, Wishes, inspect::device, network::Connection},
    ui::render,
};
pub(super) use ask::question;
use networks::Networks;
pub(super) use settings::Settings;

/// Configures an image before it is written to a drive, or a drive that has one
///
/// Nobody is logged in, nothing is sent anywhere, nothing is mounted, and a file needs no root. The image is changed in place; a packed
/// one is packed again in its own format. What nothing is said of stays as it is, and a cut at any moment leaves each file old or new.
/// Without any option it asks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image (as it is, or packed by gzip, xz, zstd, bzip2 or zip) or drive
    #[arg(value_hint = ValueHint::AnyPath)]
    image: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Picture (PNG) that the device shows while it boots
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    splash: Option<PathBuf>,
    #[command(flatten)]
    networks: Networks,
    /// Connection of `NetworkManager` that the device is to have, as it is; may be repeated
    #[arg(long, short = 'c', value_name = "FILE", help_heading = "Networks", value_hint = ValueHint::FilePath)]
    system_connection: Vec<PathBuf>,
}

/// Configures.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let password = args.networks.password(context).await?;
    let mut wishes = wishes(context, &args, password)?;
    if wishes.is_empty() {
        if !context.console.may_prompt() {
            let words = "nothing is said of what to configure, and nobody can be asked";
            return Err(Failure::new(Kind::Usage, words)
                .hint("--hostname, --dev, --ssh-key, --wifi-ssid and others say it: see `os configure --help`"));
        }
        // Whoever answers all questions has an image that can be configured.
        let look = |place: &Place| {
            let disk = place.open(Purpose::Look)?;
            disk.volume()?;
            Ok(())
        };
        Place::new(context, &args.image)
            .with(Purpose::Look, look)
            .await?;
        wishes = ask::ask(context).await?;
    }
    if wishes.is_empty() {
        return Ok(render::configure::nothing(&context.console)?);
    }
    // What cannot be is told before the image is opened.
    wishes.files(None, None)?;
    let console = context.console.clone();
    let change = move |place: &Place| {
        let disk = place.open(Purpose::Change)?;
        let board = device(&disk)?;
        // One that cannot be read is no hindrance where it is replaced.
        let before = match &wishes.config {
            Some(_) => None,
            None => document(&disk)?,
        };
        let slug = board.as_ref().map(|board| board.slug.as_str());
        if let Ok(document) = wishes.configuration(before.clone(), slug) {
            looked_at(&console, &document);
        }
        let files = wishes.files(before, slug)?;
        place.write(&disk, &files)
    };
    Place::new(context, &args.image)
        .with(Purpose::Change, change)
        .await
}

fn wishes(context: &Context, args: &Args, password: Option<Secret>) -> Result<Wishes, Failure> {
    let mut wishes = args.settings.wishes(context)?;
    if let Some(path) = &args.splash {
        wishes.splash = Some(given::bytes(context, path)?);
    }
    wishes.connections = args.networks.connections(context, password)?;
    for path in &args.system_connection {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let bytes = given::bytes(context, path)?;
        let own = Connection::own(&name.unwrap_or_default(), &bytes)?;
        wishes.connections.retain(|other| other.path != own.path);
        wishes.connections.push(own);
    }
    Ok(wishes)
}
