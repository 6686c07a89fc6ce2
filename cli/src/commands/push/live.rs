//! What follows a push: the logs are shown, and what changes in the project is brought to the device, until the command is ended.

use std::pin::pin;

use tokio::sync::mpsc;

use super::work::Work;
use crate::{
    commands::{Context, logs, reach::Reached},
    deploy::{BuiltFrom, DeployError, Follow, LiveEnded, LiveEvent, PushLock, Watched},
    failure::Failure,
    ui::render::{live::LiveView, logs::LogView, push::PushView},
};

/// Shows the logs while `work` is repeated as far as changes make it necessary.
pub(super) async fn follow(
    context: &Context,
    (reached, work): (&Reached, &Work<'_>),
    sources: BuiltFrom,
    (follow, view): (Follow, &mut LogView<'_>),
) -> Result<(), Failure> {
    let mut shown = pin!(logs::show(context, reached, follow, (view, None)));
    let ended = {
        let mut live = pin!(live(context, reached, work, sources));
        tokio::select! {
            shown = &mut shown => {
                if context.interrupt.is_cancelled() {
                    // A build that runs ends in order, too.
                    live.await?;
                    return shown;
                }
                Some(shown)
            }
            ended = &mut live => {
                ended?;
                None
            }
        }
    };
    match ended {
        // Nobody reads any more: what was being built is not wanted.
        Some(shown) => {
            work.give_up().await;
            shown
        }
        None => shown.await,
    }
}

/// Watches and pushes in turns, until the command is interrupted. Of several commands for one device, one watches.
async fn live(
    context: &Context,
    reached: &Reached,
    work: &Work<'_>,
    mut sources: BuiltFrom,
) -> Result<(), Failure> {
    let view = LiveView::new(&context.console, &reached.device.name, sources.services());
    let locks = context.environment.paths.locks();
    let _lock = match PushLock::take(&locks, &format!("live {}", reached.key())) {
        Ok(lock) => lock,
        Err(DeployError::Busy { pid }) => {
            view.is_watched_already(pid);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    view.begins();
    loop {
        let mut known = work.watched(&sources).await?;
        sources = loop {
            let Some(ended) = watched(context, work, (&mut known, &view)).await? else {
                return Ok(());
            };
            view.rebuilds(&ended);
            match again(context, reached, work).await {
                Ok(built) => break built,
                Err(failure) if context.interrupt.is_cancelled() => return Err(failure),
                Err(failure) => {
                    context.console.failure(&failure);
                    view.waits();
                    known.has_failed();
                }
            }
        };
    }
}

/// Watches until something has to be built anew; `None` if the command is interrupted.
async fn watched(
    context: &Context,
    work: &Work<'_>,
    (known, view): (&mut Watched, &LiveView<'_>),
) -> Result<Option<LiveEnded>, Failure> {
    let (sender, mut told) = mpsc::unbounded_channel();
    let tell = move |event: LiveEvent| drop(sender.send(event));
    let ended = {
        let mut watched = pin!(work.watch(known, &tell));
        loop {
            tokio::select! {
                biased;
                () = context.interrupt.cancelled() => return Ok(None),
                Some(event) = told.recv() => view.event(event),
                ended = &mut watched => break ended?,
            }
        }
    };
    while let Ok(event) = told.try_recv() {
        view.event(event);
    }
    Ok(Some(ended))
}

/// Pushes once more.
async fn again(
    context: &Context,
    reached: &Reached,
    work: &Work<'_>,
) -> Result<BuiltFrom, Failure> {
    let _lock = PushLock::take(&context.environment.paths.locks(), &reached.key())?;
    let mut view = PushView::new(&context.console, &reached.device.name, None);
    let outcome = work.run_again(&mut view).await?;
    view.finished(&outcome, reached.address())?;
    Ok(outcome.sources)
}
