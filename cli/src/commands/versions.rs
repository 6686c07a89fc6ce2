//! `os versions`.

use std::path::{Path, PathBuf};

use crate::{
    cloud::{Cloud, CloudError, Guest, os_versions::OsVersion},
    commands::Context,
    failure::Failure,
    ui::render,
};

/// Lists the versions of the operating system that a cloud has for a device type.
///
/// The newest stands first. Where the cloud lets in whoever comes, no token is needed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Device type, as in raspberrypi4-64.
    #[arg(value_name = "TYPE")]
    device_type: String,
    /// Those that are supported for longer.
    #[arg(long)]
    esr: bool,
    /// Also those that are not released yet.
    #[arg(long, visible_alias = "include-draft")]
    drafts: bool,
    /// File with a token of the cloud, beside the variable for it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Runs it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let token_file = args.token_file.as_deref();
    let asking = versions(context, token_file, &args.device_type, args.drafts);
    let (_, slug, all) = tokio::select! {
        found = asking => found?,
        () = context.interrupt.cancelled() => return Err(Failure::interrupted()),
    };
    let shown = all.iter().filter(|version| version.is_esr == args.esr);
    render::versions::listed(&context.console, &slug, shown)?;
    Ok(())
}

/// The versions of a type, its own name, and whom the cloud took us for. A token that is not taken is no reason not to ask without one.
pub(super) async fn versions(
    context: &Context,
    token_file: Option<&Path>,
    word: &str,
    drafts: bool,
) -> Result<(Guest, String, Vec<OsVersion>), Failure> {
    let (guest, unread) = Guest::of(&context.environment, token_file)?;
    if let Some(unread) = &unread {
        render::versions::unread(&context.console, unread);
    }
    match Cloud::open(&guest).os_versions(word, drafts).await {
        Err(refused @ CloudError::Unauthorized { .. }) if guest.has_token() => {
            let open = guest.without_token();
            let found = Cloud::open(&open).os_versions(word, drafts).await;
            let (slug, all) = found.map_err(|_| Failure::from(refused))?;
            render::versions::without_token(&context.console, &open.domain);
            Ok((open, slug, all))
        }
        // With the token it might have.
        Err(refused @ CloudError::NoToken { .. }) => Err(match unread {
            Some(unread) => Failure::from(unread).because(refused.to_string()),
            None => refused.into(),
        }),
        found => {
            let (slug, all) = found?;
            Ok((guest, slug, all))
        }
    }
}
