//! `os new`: writes a starter project into a folder.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;

use crate::{
    commands::Context,
    env::Paths,
    failure::Failure,
    templates::{self, Template},
    ui::render,
};

/// Writes a starter project
///
/// Nothing that is already there is overwritten. Without a template, the templates are listed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Template to start from
    #[arg(value_parser = PossibleValuesParser::new(templates::ALL.iter().map(|template| template.name)))]
    template: Option<String>,
    /// Folder to write to; the default is a new one that is called like the template
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// List the templates
    #[arg(long, conflicts_with_all = ["template", "folder"])]
    list: bool,
}

/// Lists the templates, or writes one.
pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let template = match args.template.as_deref().and_then(templates::find) {
        Some(template) if !args.list => template,
        _ => return Ok(render::new::list(&context.console, templates::ALL)?),
    };
    let name = Path::new(template.name);
    let folder = args.folder.as_deref().unwrap_or(name);
    write(context, template, folder)
}

fn write(context: &Context, template: &Template, folder: &Path) -> Result<(), Failure> {
    template.write(&Paths::absolute(&context.environment.current_dir, folder))?;
    render::new::written(&context.console, template, folder)?;
    Ok(())
}
