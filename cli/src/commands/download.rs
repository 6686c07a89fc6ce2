//! `os download`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc::unbounded_channel;

use crate::{
    cloud::{
        ImageKind, OsImage, authorities,
        os_versions::{Wanted, choose},
        proxies,
    },
    commands::{Context, cache, given, versions::versions},
    download::{
        Source, Want, download,
        link::Link,
        web::{Way, Web},
    },
    env::Environment,
    failure::{Failure, Kind},
    image::container::PACKED,
    project::compose::units,
    ui::render,
};

/// Fetches the image of an operating system, checks it, and unpacks it.
///
/// It goes on where it was cut off. What is fetched is checked by all checksums that its server offers, and is kept in a cache
/// (`os cache`), from which it is taken the next time, after it was checked again. Nothing stands at its place before all of it is right.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Device type (raspberrypi4-64), address of an image (http, https or file), or a file.
    #[arg(value_name = "TYPE|URL|FILE")]
    what: String,
    /// Where it is to be; `-` is standard output [default: a file in this folder].
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Version (6.5.0), range (^6.4), latest or esr.
    #[arg(long, value_name = "VERSION", default_value = "latest")]
    version: Wanted,
    /// What the image does: installation-media or disk-image [default: as the device type has it].
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<ImageKind>,
    /// Leave it packed, as it came.
    #[arg(long)]
    compressed: bool,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
    /// File of keys (`gpg --export`), of which one has to have signed the list of checksums.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Do not look for lists of checksums beside it.
    #[arg(long, conflicts_with = "keyring")]
    no_checksums: bool,
    /// Bytes that the image may have.
    #[arg(long, value_name = "SIZE", default_value = "64GB", value_parser = size)]
    max_size: u64,
    /// Seconds that a server may stay silent, or give next to nothing, before it is asked anew.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
    /// File with a token of the cloud, beside the variable for it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

fn size(text: &str) -> Result<u64, String> {
    units::bytes(text).ok_or_else(|| "it is a number with a unit, as in 20GB".to_owned())
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (source, name) = source(context, &args).await?;
    let to = place(context, &args, &source, &name)?;
    let way = way(&context.environment, Duration::from_secs(args.patience));
    let web = Web::new(&way).await?;
    let keyring = args
        .keyring
        .as_deref()
        .map(|path| given::absolute(context, path));
    if let Some(keyring) = keyring.as_deref().filter(|keyring| !keyring.is_file()) {
        let words = format!("{} is no file of keys", keyring.display());
        return Err(Failure::new(Kind::Usage, words).hint("`gpg --export` writes one"));
    }
    let cache = cache::cache(context)?;
    let (events, told) = unbounded_channel();
    let want = Want {
        name,
        to: to.as_deref(),
        replaces: args.force,
        is_as_it_came: args.compressed,
        most: args.max_size,
        keyring: keyring.as_deref(),
        looks: !args.no_checksums,
        cache: &cache,
        events,
        interrupt: &context.interrupt,
    };
    let work = async move {
        let had = download(&web, &source, &want).await;
        // Nothing more is told.
        drop(want);
        had
    };
    let (had, maps) = tokio::join!(work, render::download::follow(&context.console, told));
    let to = (to.as_deref(), maps.as_slice());
    render::download::had(&context.console, to, &had?, !args.no_checksums)?;
    Ok(())
}

/// Where the image is, and what its file is called there.
async fn source(context: &Context, args: &Args) -> Result<(Source, String), Failure> {
    let what = args.what.as_str();
    if is_local(what) {
        let path = reqwest::Url::parse(what).ok();
        let path = path.and_then(|url| url.to_file_path().ok());
        let path = path.ok_or_else(|| {
            let words = format!("`{what}` is no address of a file of this machine");
            Failure::new(Kind::Usage, words).hint("it is as in file:///srv/os.img.xz")
        })?;
        return file(context, &path);
    }
    if what.contains("://") {
        if args.token_file.is_some() {
            let words = "--token-file is a cloud's token, and goes to no other server";
            return Err(Failure::new(Kind::Usage, words)
                .hint("an address may bring its own: https://USER:PASSWORD@HOST/os.img.xz"));
        }
        let link = Link::parse(what)?;
        let name = link.file_name().unwrap_or_else(|| "image.img".to_owned());
        return Ok((Source::Web(link), name));
    }
    if what.contains('/') || given::absolute(context, Path::new(what)).is_file() {
        return file(context, Path::new(what));
    }
    let asking = versions(
        context,
        args.token_file.as_deref(),
        what,
        matches!(args.version, Wanted::Exact(_)),
    );
    let (guest, slug, all) = tokio::select! {
        found = asking => found?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let version = choose(&all, &args.version).ok_or_else(|| {
        let words = format!("there is no such version for {slug}");
        Failure::new(Kind::Usage, words).hint(format!("`os versions {slug}` lists those there are"))
    })?;
    let image = OsImage {
        slug,
        version: version.raw().to_owned(),
        kind: args.kind,
    };
    render::download::chosen(&context.console, &image);
    let (address, token) = guest.image(&image);
    let mut link = Link::parse(&address)?;
    if let Some(token) = token {
        link = link.with_bearer(token);
    }
    let name = format!("{}.img.gz", image.stem());
    let identity = address;
    Ok((Source::Version { link, identity }, name))
}

/// Whether it is the address of a file of this machine; the letters of a scheme may be large ones.
fn is_local(what: &str) -> bool {
    what.get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"))
}

fn file(context: &Context, path: &Path) -> Result<(Source, String), Failure> {
    let path = given::absolute(context, path);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    match name {
        Some(name) if path.is_file() => Ok((Source::File(path), name)),
        _ => {
            let words = format!("{} is no file", path.display());
            Err(Failure::new(Kind::Usage, words))
        }
    }
}

/// Where it is to be, if in a file.
fn place(
    context: &Context,
    args: &Args,
    source: &Source,
    name: &str,
) -> Result<Option<PathBuf>, Failure> {
    if args.output.as_deref() == Some(Path::new("-")) {
        if context.environment.terminal.stdout {
            let words = "an image is nothing for a terminal";
            return Err(Failure::new(Kind::Usage, words)
                .hint("`-o -` is for a pipe or a file; -o FILE writes it to one"));
        }
        return Ok(None);
    }
    let own = if args.compressed {
        name.to_owned()
    } else {
        unpacked(name)
    };
    let mut to = given::absolute(context, args.output.as_deref().unwrap_or(Path::new(&own)));
    if to.is_dir() {
        to.push(&own);
    }
    let refused = |words: &str, hint: &str| {
        let words = format!("{} {words}", to.display());
        Err(Failure::new(Kind::Usage, words).hint(hint))
    };
    if matches!(source, Source::File(path) if *path == to) {
        return refused("is the image itself", "-o names another file");
    }
    match fs_err::symlink_metadata(&to) {
        Ok(found) if !found.is_file() && !found.is_symlink() => refused(
            "is no file",
            "`os flash` writes drives; `-o -` writes to a pipe",
        ),
        Ok(_) if !args.force => refused("is there already", "--force replaces it"),
        Ok(found) if found.is_symlink() && !to.is_file() => {
            refused("is a link that leads to no file", "-o names another file")
        }
        _ => Ok(Some(to)),
    }
}

/// The name of an image without what it was packed in.
fn unpacked(name: &str) -> String {
    let mut stem = name;
    let ends = || PACKED.into_iter().chain([".img"]);
    while let Some(shorter) = ends().find_map(|end| stem.strip_suffix(end)) {
        stem = shorter;
    }
    let stem = if stem.is_empty() { "image" } else { stem };
    format!("{stem}.img")
}

/// This machine's way into the web.
fn way(environment: &Environment, patience: Duration) -> Way {
    Way {
        authorities: authorities(environment),
        patience,
        proxies: proxies(environment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacked_image_ends_in_img() {
        for (name, stem) in [
            ("os-1.0.img.xz", "os-1.0.img"),
            ("os.zip", "os.img"),
            ("os.img.zstd", "os.img"),
            ("os-2.60.1+rev1.prod.img.gz", "os-2.60.1+rev1.prod.img"),
            ("os", "os.img"),
            (".img", "image.img"),
        ] {
            assert_eq!(unpacked(name), stem, "{name}");
        }
    }
}
