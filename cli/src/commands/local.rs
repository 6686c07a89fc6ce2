//! `os local`: whether a device of a fleet takes its target from the local network.

use agent_api::os::{LocalMode, SetLocalMode};
use clap::ValueEnum;

use crate::{
    agent::{AgentError, Kind as DeviceKind},
    commands::{
        Context,
        reach::{Reached, reach_agent},
        way::Way,
    },
    failure::{Failure, Kind},
    ui::render,
};

/// Shows or switches local mode of a device
///
/// In local mode a device of a fleet runs what is pushed to it. While it is on, the fleet's services are away; their volumes and images
/// stay. When it is switched off, everything that came in the meantime is removed, and the fleet's services come back. A device that
/// belongs to no fleet is always in local mode.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do
    #[arg(value_enum)]
    what: What,
    /// Name, name.local, uuid, address, or address:port of the device; without it, the only device there is
    device: Option<String>,
    /// With `off`: let the data in volumes go that came while local mode was on
    #[arg(long)]
    discard: bool,
    #[command(flatten)]
    way: Way,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Switch it on
    On,
    /// Switch it off
    Off,
    /// Say whether it is on
    Status,
}

/// Shows or switches.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    fits(args.what, args.discard)?;
    let reached = reach_agent(context, args.device.as_deref(), &args.way).await?;
    let DeviceKind::Ours(_) = &reached.kind else {
        return Err(Failure::new(
            Kind::Device,
            format!(
                "{} has no way to be asked for local mode",
                reached.device.name
            ),
        )
        .hint("a device with the reference agent is switched in its fleet's dashboard"));
    };
    let mode = match args.what {
        What::Status => reached.agent.local_mode().await?,
        What::On => {
            switch(
                &reached,
                SetLocalMode {
                    enabled: true,
                    discard: false,
                },
            )
            .await?
        }
        What::Off => {
            switch(
                &reached,
                SetLocalMode {
                    enabled: false,
                    discard: args.discard,
                },
            )
            .await?
        }
    };
    render::local::mode(&context.console, &mode)?;
    Ok(())
}

/// Whether there is anything to discard.
fn fits(what: What, discard: bool) -> Result<(), Failure> {
    if discard && what != What::Off {
        let only = "--discard is for `os local off`: nothing else removes anything";
        return Err(Failure::new(Kind::Usage, only));
    }
    Ok(())
}

async fn switch(reached: &Reached, asked: SetLocalMode) -> Result<LocalMode, Failure> {
    match reached.agent.set_local_mode(&asked).await {
        Ok(mode) => Ok(mode),
        Err(error @ AgentError::Status { status: 409, .. }) => {
            let loses = !asked.enabled && error.to_string().contains("would be lost");
            let failure = Failure::from_error(Kind::Deploy, &error);
            Err(if loses {
                failure.hint("os local off --discard lets their data go; `os local status` lists all that would be removed")
            } else {
                failure
            })
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_discards_nothing_takes_no_word_for_it() {
        for what in [What::On, What::Status] {
            assert_eq!(fits(what, true).unwrap_err().kind(), Kind::Usage);
            assert!(fits(what, false).is_ok());
        }
        assert!(fits(What::Off, true).is_ok());
    }
}
