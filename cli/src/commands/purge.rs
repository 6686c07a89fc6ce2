//! `os purge`: new containers and empty volumes.

use dialoguer::{Confirm, theme::ColorfulTheme};
use tokio::task::spawn_blocking;

use super::act::{self, Services};
use crate::{
    agent::Verb,
    commands::Context,
    failure::{Failure, Kind},
    ui::terminal,
};

/// Empties the volumes of a device's application
///
/// All services get new containers, and all volumes of the application are made anew: their data is lost. With a service, only the
/// volumes that it has, and only the containers of it and of those that share them. It has to be confirmed, or allowed with --yes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    services: Services,
}

/// Purges.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (reached, action) = args.services.reach(context).await?;
    if action.service.is_some() && !reached.kind.can("purge-service") {
        let device = &reached.device.name;
        let whole = format!("{device} can only be purged as a whole");
        return Err(Failure::new(Kind::Usage, whole).hint(format!(
            "os purge {device} empties the volumes of all services"
        )));
    }
    if !args.yes {
        confirm(context, &reached.device.name, action.service.as_deref()).await?;
    }
    act::carry_out(context, &reached, Verb::Purge, &action).await
}

async fn confirm(context: &Context, device: &str, service: Option<&str>) -> Result<(), Failure> {
    let whose = service.unwrap_or("the application");
    let loss = format!("the data in all volumes of {whose} on {device} will be lost");
    if !context.console.may_prompt() {
        return Err(Failure::new(Kind::Usage, loss).hint("allow it with --yes"));
    }
    let asked = spawn_blocking(move || {
        let theme = ColorfulTheme::default();
        let question = Confirm::with_theme(&theme)
            .with_prompt(format!("{loss}. Go on?"))
            .default(false);
        terminal::asking(|| question.interact_opt())
    });
    match asked.await {
        Ok(Ok(Some(true))) => Ok(()),
        _ => Err(Failure::interrupted().hint("nothing was changed")),
    }
}
