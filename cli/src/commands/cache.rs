//! `os cache`.

use crate::{
    commands::Context,
    download::cache::{Cache, Entry, USUAL_LIMIT},
    env::OSCLI_CACHE_LIMIT,
    failure::{Failure, Kind},
    project::compose::units,
    ui::render,
};

/// Shows and removes images that were downloaded.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists what is kept, what was used last first.
    List,
    /// Removes what is kept: all of it, or what is named.
    Clean {
        /// Names, as `os cache list` shows them; the beginning does.
        names: Vec<String>,
    },
}

/// Where images are kept, and how many bytes of them.
pub(super) fn cache(context: &Context) -> Result<Cache, Failure> {
    let limit = match context.environment.variable(OSCLI_CACHE_LIMIT) {
        None => USUAL_LIMIT,
        Some(text) => units::bytes(text).ok_or_else(|| {
            let words = format!("OSCLI_CACHE_LIMIT is no size: {text}");
            Failure::new(Kind::Usage, words).hint("it is a number with a unit, as in 20GB")
        })?,
    };
    Ok(Cache::new(context.environment.paths.images(), limit))
}

/// Runs it.
pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let cache = cache(context)?;
    let entries = cache.entries()?;
    match &args.what {
        What::List => render::download::listed(&context.console, &entries)?,
        What::Clean { names } => {
            let mut removed = Vec::new();
            for entry in chosen(entries, names)? {
                if cache.remove(&entry.name)? {
                    removed.push(entry);
                } else {
                    render::download::in_use(&context.console, &entry);
                }
            }
            render::download::removed(&context.console, &removed)?;
        }
    }
    Ok(())
}

fn chosen(entries: Vec<Entry>, names: &[String]) -> Result<Vec<Entry>, Failure> {
    if names.is_empty() {
        return Ok(entries);
    }
    let fits = |entry: &Entry, name: &String| !name.is_empty() && entry.name.starts_with(name);
    if let Some(none) = names
        .iter()
        .find(|name| !entries.iter().any(|entry| fits(entry, name)))
    {
        let words = format!("nothing in the cache is called {none}");
        return Err(Failure::new(Kind::Usage, words).hint("`os cache list` shows what there is"));
    }
    let mut entries = entries;
    entries.retain(|entry| names.iter().any(|name| fits(entry, name)));
    Ok(entries)
}
