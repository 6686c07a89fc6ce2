//! `os purge`: new containers and empty volumes.

use agent_api::os::Action;
use dialoguer::{Confirm, theme::ColorfulTheme};
use tokio::task::spawn_blocking;

use super::{act, reach::reach};
use crate::{
    agent::Verb,
    commands::Context,
    failure::{Failure, Kind},
};

/// Empties the volumes of a device's application
///
/// All services get new containers, and all volumes of the application are made anew: their data is lost. It has to be confirmed, or
/// allowed with --yes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    /// Override the update locks that services hold
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Purges.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let reached = reach(context, args.device.as_deref()).await?;
    if !args.yes {
        confirm(context, &reached.device.name).await?;
    }
    let action = Action {
        app_id: None,
        service: None,
        force: args.force,
    };
    act::carry_out(context, &reached, Verb::Purge, &action).await
}

async fn confirm(context: &Context, device: &str) -> Result<(), Failure> {
    let loss = format!("the data in all volumes of the application on {device} will be lost");
    if !context.console.may_prompt() {
        return Err(Failure::new(Kind::Usage, loss).hint("allow it with --yes"));
    }
    let asked = spawn_blocking(move || {
        Confirm::with_theme(&ColorfulTheme::default())
            .with_prompt(format!("{loss}. Go on?"))
            .default(false)
            .interact_opt()
    });
    match asked.await {
        Ok(Ok(Some(true))) => Ok(()),
        _ => Err(Failure::interrupted().hint("nothing was changed")),
    }
}
