//! `os config`: config.json of an image.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};
use serde_json::Value;

use super::{
    Context,
    configure::Settings,
    disk::Place,
    given,
    output::{self, For},
};
use crate::{
    failure::{Failure, Kind},
    image::{Disk, Purpose, fat::Change},
    provision::{
        CONFIG, File,
        config::{self, Document},
    },
    ui::{Console, render},
};

/// Reads and writes the configuration (config.json) of an image or drive
///
/// The order of its keys, and keys that are not known here, stay as they are.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows the configuration, or one key of it
    ///
    /// Secrets are hidden in a terminal.
    Read {
        /// A key, with points between its parts: `os.network.connectivity.uri`
        key: Option<String>,
        #[command(flatten)]
        on: On,
        /// Show secrets in a terminal, too
        #[arg(long)]
        show_secrets: bool,
    },
    /// Sets one key
    ///
    /// The value gets the type that the key has. A key that devices do not read is refused, and those of a similar name are shown.
    Write(Write),
    /// Takes a file as the configuration
    Inject {
        /// The file; `-` is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        on: On,
    },
    /// Makes a configuration for a device that belongs to no fleet
    Generate(Box<Generate>),
    /// Lists the keys that devices read
    Keys,
}

/// Which image.
#[derive(Debug, clap::Args)]
struct On {
    /// Image or drive
    #[arg(long, short, alias = "image", value_name = "IMAGE", value_hint = ValueHint::AnyPath)]
    drive: PathBuf,
}

/// What is set.
#[derive(Debug, clap::Args)]
struct Write {
    /// The key, with points between its parts
    key: String,
    /// Its value; of a list or an object, as JSON. Not for secrets: command lines can be read by others
    #[arg(required_unless_present_any = ["value_file", "remove"])]
    value: Option<String>,
    #[command(flatten)]
    on: On,
    /// File that holds the value; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "value", value_hint = ValueHint::FilePath)]
    value_file: Option<PathBuf>,
    /// Take the key away
    #[arg(long, conflicts_with_all = ["value", "value_file"])]
    remove: bool,
    /// Write a key that devices do not read, too
    #[arg(long)]
    any_key: bool,
}

/// What is made.
#[derive(Debug, clap::Args)]
struct Generate {
    /// Type of the device, as its image has it in device-type.json
    #[arg(long, value_name = "TYPE")]
    device_type: Option<String>,
    /// File to write; without it, standard output
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Does what is asked.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.what {
        What::Read {
            key,
            on,
            show_secrets,
        } => read(context, key, &on.drive, show_secrets).await,
        What::Write(write) => self::write(context, write).await,
        What::Inject { file, on } => inject(context, &file, &on.drive).await,
        What::Generate(generate) => self::generate(context, &generate),
        What::Keys => Ok(render::config::keys(&context.console)?),
    }
}

/// Says what is in it that may be meant otherwise.
pub(super) fn looked_at(console: &Console, document: &Document) {
    if document.has_empty_keys() {
        render::config::empty_keys(console);
    }
    if let Some(twice) = document.twice() {
        render::image::wrong(console, &[twice]);
    }
}

/// The configuration of an image.
pub(super) fn document(disk: &Disk) -> Result<Option<Document>, Failure> {
    let bytes = disk.read(CONFIG, config::MOST_BYTES)?;
    Ok(bytes.map(|bytes| Document::read(&bytes)).transpose()?)
}

async fn read(
    context: &Context,
    key: Option<String>,
    image: &Path,
    show_secrets: bool,
) -> Result<(), Failure> {
    let look = |place: &Place| document(&place.open(Purpose::Look)?);
    let found = Place::new(context, image).with(Purpose::Look, look).await?;
    let none = |what: &str| {
        let words = format!("{} has no {what}", image.display());
        Failure::new(Kind::Other, words)
    };
    let document = found.ok_or_else(|| none(CONFIG).hint("`os configure` writes one"))?;
    let hides = context.console.stdout_terminal() && !show_secrets;
    let Some(key) = key else {
        let all = if hides {
            document.without_secrets()
        } else {
            Value::Object(document.keys().clone())
        };
        render::config::all(&context.console, &all, hides)?;
        render::image::wrong(&context.console, &document.wrong());
        return Ok(());
    };
    let value = document
        .get(&key)
        .ok_or_else(|| none(&format!("key `{key}` in its {CONFIG}")))?;
    if !hides {
        return Ok(render::config::one(&context.console, value)?);
    }
    let shown = config::shown(&key, value);
    if config::is_secret(&key) || shown == config::HIDDEN {
        let words = format!("`{key}` is a secret");
        return Err(Failure::new(Kind::Usage, words).hint("--show-secrets shows it"));
    }
    Ok(render::config::one(&context.console, &shown)?)
}

async fn write(context: &Context, args: Write) -> Result<(), Failure> {
    let typed = match (&args.value, &args.value_file) {
        (Some(_), _) if config::is_never_typed(&args.key) => {
            let words = format!(
                "`{}` is a secret, and others can read command lines",
                args.key
            );
            return Err(Failure::new(Kind::Usage, words)
                .hint("--value-file FILE takes it from a file, or from standard input by `-`"));
        }
        (Some(typed), _) => typed.clone(),
        (None, Some(file)) => {
            let text = given::text(context, file)?;
            text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
        }
        (None, None) => String::new(),
    };
    // What cannot be is told before the image is touched.
    if !args.remove {
        Document::default().write(&args.key, &typed, args.any_key)?;
    }
    let console = context.console.clone();
    let change = move |place: &Place| {
        let disk = place.open(Purpose::Change)?;
        let before = document(&disk)?;
        if args.remove && before.is_none() {
            // What is not there has no key.
            return place.change(&disk, &[Change::Remove(CONFIG)]);
        }
        let mut document = before.unwrap_or_default();
        if args.remove {
            document.remove(&args.key);
        } else {
            document.write(&args.key, &typed, args.any_key)?;
        }
        looked_at(&console, &document);
        place.write(&disk, &[file(&document)])
    };
    Place::new(context, &args.on.drive.clone())
        .with(Purpose::Change, change)
        .await
}

async fn inject(context: &Context, from: &Path, image: &Path) -> Result<(), Failure> {
    let document = given::configuration(context, from)?;
    if let Some(wrong) = document.wrong().into_iter().next() {
        return Err(wrong.into());
    }
    looked_at(&context.console, &document);
    let change = move |place: &Place| {
        let disk = place.open(Purpose::Change)?;
        place.write(&disk, &[file(&document)])
    };
    Place::new(context, image)
        .with(Purpose::Change, change)
        .await
}

fn file(document: &Document) -> File {
    File {
        path: CONFIG.to_owned(),
        bytes: document.bytes(),
    }
}

fn generate(context: &Context, args: &Generate) -> Result<(), Failure> {
    let wishes = args.settings.wishes(context)?;
    let document = wishes.configuration(None, args.device_type.as_deref())?;
    if document.get("deviceType").is_none() {
        return Err(
            Failure::new(Kind::Usage, "which type of device it is for is not said")
                .hint("--device-type TYPE says it, as `os image inspect` shows it"),
        );
    }
    looked_at(&context.console, &document);
    let Some(output) = &args.output else {
        return Ok(render::config::generated(&context.console, &document)?);
    };
    let path = given::absolute(context, output);
    // Keys may be in it.
    output::write(&path, For::Owner, |file| file.write_all(&document.bytes()))?;
    render::config::written(&context.console, &path)?;
    Ok(())
}
