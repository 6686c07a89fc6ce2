//! `os image`: what is on a disk image, and files of its boot partition.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueHint};

use super::{Context, disk::Place, given};
use crate::{
    failure::{Failure, Kind},
    image::Purpose,
    provision::{File, inspect::inspect},
    ui::render,
};

/// Bytes of a file that is taken out.
const MOST_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Looks into disk images, and at the files of their boot partition
///
/// An image is a file or a drive, as it is or packed by gzip, xz, zstd, bzip2 or zip. Nothing is mounted, and a file needs no root.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows layout, system, board, configuration and free space of an image
    Inspect {
        /// File or drive
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
    },
    /// Lists files of the boot partition
    List {
        /// File or drive
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// Folder to list; without it, the topmost one
        #[arg(default_value = "/")]
        folder: String,
    },
    /// Takes a file out of the boot partition
    Extract {
        /// File or drive
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// File of the boot partition
        file: String,
        /// Where to write it; `-` is standard output. Without it, here, under its name
        #[arg(value_hint = ValueHint::FilePath)]
        to: Option<PathBuf>,
    },
    /// Puts a file into the boot partition
    Insert {
        /// File or drive
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// File to put there; `-` is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Where to put it; without it, in the topmost folder, under its name. Folders on its way are made
        to: Option<String>,
    },
}

/// Does what is asked.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.what {
        What::Inspect { image } => {
            let console = context.console.clone();
            let look = move |place: &Place| {
                let disk = place.open(Purpose::Look)?;
                let found = inspect(&disk)?;
                render::image::inspected(&console, &disk, &found)?;
                Ok(())
            };
            Place::new(context, &image).with(Purpose::Look, look).await
        }
        What::List { image, folder } => {
            let console = context.console.clone();
            let look = move |place: &Place| {
                let entries = place.open(Purpose::Look)?.list(&folder)?;
                render::image::listed(&console, &entries)?;
                Ok(())
            };
            Place::new(context, &image).with(Purpose::Look, look).await
        }
        What::Extract { image, file, to } => extract(context, &image, file, to).await,
        What::Insert { image, file, to } => insert(context, &image, &file, to).await,
    }
}

async fn extract(
    context: &Context,
    image: &Path,
    file: String,
    to: Option<PathBuf>,
) -> Result<(), Failure> {
    let name = file.rsplit('/').next().unwrap_or(&file).to_owned();
    let to = to.unwrap_or_else(|| PathBuf::from(&name));
    let wanted = file.clone();
    let look = move |place: &Place| Ok(place.open(Purpose::Look)?.read(&wanted, MOST_BYTES)?);
    let found = Place::new(context, image).with(Purpose::Look, look).await?;
    let Some(bytes) = found else {
        let words = format!("{} has no file {file}", image.display());
        return Err(Failure::new(Kind::Other, words).hint(format!(
            "`os image list {}` shows what there is",
            image.display()
        )));
    };
    if to == Path::new("-") {
        crate::ui::terminal::write_stdout(&bytes)?;
        return Ok(());
    }
    let mut path = given::absolute(context, &to);
    if path.is_dir() {
        path.push(&name);
    }
    fs_err::write(&path, &bytes)?;
    render::image::extracted(&context.console, &file, &path, bytes.len())?;
    Ok(())
}

async fn insert(
    context: &Context,
    image: &Path,
    file: &Path,
    to: Option<String>,
) -> Result<(), Failure> {
    let name = file
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let own = name.filter(|_| file != Path::new("-"));
    let path = match (to, own) {
        (Some(folder), Some(name)) if folder.ends_with('/') => format!("{folder}{name}"),
        (Some(path), _) | (None, Some(path)) => path,
        (None, None) => {
            let words = "where standard input is to be put is not said";
            return Err(
                Failure::new(Kind::Usage, words).hint("name the file of the boot partition, too")
            );
        }
    };
    let bytes = given::bytes(context, file)?;
    let change = move |place: &Place| {
        let disk = place.open(Purpose::Change)?;
        place.write(&disk, &[File { path, bytes }])
    };
    Place::new(context, image)
        .with(Purpose::Change, change)
        .await
}
