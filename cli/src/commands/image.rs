//! `os image`: what is on a disk image, and files of its boot partition.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Subcommand, ValueHint};

use super::{
    Context,
    disk::Place,
    given,
    output::{self, For},
};
use crate::{
    failure::{Failure, Kind},
    image::{
        Purpose,
        fat::{Change, FatError},
    },
    provision::{CONFIG, File, inspect::inspect, network::FOLDER},
    ui::render,
};

/// Files in which secrets are, and the folder of others.
const SECRETS: [&str; 2] = [CONFIG, FOLDER];

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
        /// File, or folder that is there or ends in `/`, to put it; without it, the topmost folder. Folders on its way are made
        to: Option<String>,
    },
    /// Removes files from the boot partition
    Remove {
        /// File or drive
        #[arg(value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        /// Files of the boot partition; one that is not there is gone already
        #[arg(required = true)]
        files: Vec<String>,
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
        What::Remove { image, files } => {
            let change = move |place: &Place| {
                let disk = place.open(Purpose::Change)?;
                let changes: Vec<Change<'_>> =
                    files.iter().map(|file| Change::Remove(file)).collect();
                place.change(&disk, &changes)
            };
            Place::new(context, &image)
                .with(Purpose::Change, change)
                .await
        }
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
    let mut path = given::absolute(context, &to);
    if path.is_dir() {
        path.push(&name);
    }
    let missing = Failure::new(
        Kind::Other,
        format!("{} has no file {file}", image.display()),
    )
    .hint(format!(
        "`os image list {}` shows what there is",
        image.display()
    ));
    let console = context.console.clone();
    let look = move |place: &Place| {
        let disk = place.open(Purpose::Look)?;
        let volume = disk.volume()?;
        // Nothing is written where there is nothing.
        if volume
            .find(&file)
            .map_err(|error| disk.fat(error))?
            .is_none()
        {
            return Err(missing);
        }
        let out = |to: &mut dyn Write| {
            let size = volume.pieces(&file, |piece| to.write_all(piece).map_err(Taken::Write));
            size.map_err(|taken| match taken {
                Taken::Write(error) => error.into(),
                Taken::Fat(error) => Failure::from(disk.fat(error)),
            })
        };
        if to == Path::new("-") {
            crate::ui::terminal::stream_stdout(out)?;
            return Ok(());
        }
        let size = output::write(&path, whose(&file), out)?;
        render::image::extracted(&console, &file, &path, size.unwrap_or_default())?;
        Ok(())
    };
    Place::new(context, image).with(Purpose::Look, look).await
}

/// What ends it: the image, or what is written to.
enum Taken {
    Fat(FatError),
    Write(io::Error),
}

impl From<FatError> for Taken {
    fn from(error: FatError) -> Self {
        Self::Fat(error)
    }
}

fn whose(file: &str) -> For {
    let first = file.split('/').find(|part| !part.is_empty());
    let is_secret = |first: &str| SECRETS.iter().any(|name| name.eq_ignore_ascii_case(first));
    if first.is_some_and(is_secret) {
        For::Owner
    } else {
        For::All
    }
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
    if to.is_none() && own.is_none() {
        let words = "where standard input is to be put is not said";
        return Err(
            Failure::new(Kind::Usage, words).hint("name the file of the boot partition, too")
        );
    }
    let asked = to.clone();
    let known = fs_err::metadata(given::absolute(context, file)).ok();
    let size = known.filter(|_| own.is_some()).map(|found| found.len());
    let name = own.clone();
    let look = move |place: &Place| {
        let disk = place.open(Purpose::Look)?;
        let volume = disk.volume()?;
        let fat = |error| disk.fat(error);
        let path = asked.as_deref().map(|path| path.trim_matches('/'));
        let found = match path {
            None | Some("") => None,
            Some(path) => volume.find(path).map_err(fat)?,
        };
        let (total, free) = volume.room().map_err(fat)?;
        if let Some(needed) = size.filter(|size| *size > total) {
            let path = asked.or(name).unwrap_or_default();
            return Err(fat(FatError::Full { path, needed, free }).into());
        }
        Ok((total, found.is_some_and(|found| found.is_folder)))
    };
    // No more is read than fits there.
    let (most, is_folder) = Place::new(context, image).with(Purpose::Look, look).await?;
    let path = match (to, own) {
        (Some(folder), Some(name)) if is_folder || folder.ends_with('/') => {
            format!("{}/{name}", folder.trim_end_matches('/'))
        }
        (Some(path), _) | (None, Some(path)) => path,
        (None, None) => String::new(),
    };
    let bytes = given::up_to(context, file, most)?;
    let change = move |place: &Place| {
        let disk = place.open(Purpose::Change)?;
        place.write(&disk, &[File { path, bytes }])
    };
    Place::new(context, image)
        .with(Purpose::Change, change)
        .await
}
