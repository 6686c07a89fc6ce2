//! What follows a push: the logs are shown, and what changes in the project is brought to the device, until the command is ended.

use std::pin::pin;

use tokio::sync::mpsc;

use super::work::Work;
use crate::{
    commands::{Context, logs, reach::Reached},
    deploy::{BuiltFrom, Changes, Follow, LiveEnded, LiveEvent, PushLock},
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
    let mut live = pin!(live(context, reached, work, sources));
    tokio::select! {
        shown = &mut shown => {
            if context.interrupt.is_cancelled() {
                // A build that runs ends in order, too.
                live.await?;
            }
            shown
        }
        ended = &mut live => {
            ended?;
            shown.await
        }
    }
}

/// Watches and pushes in turns, until the command is interrupted.
async fn live(
    context: &Context,
    reached: &Reached,
    work: &Work<'_>,
    mut sources: BuiltFrom,
) -> Result<(), Failure> {
    let name = &reached.device.name;
    let view = LiveView::new(&context.console, name, sources.services());
    view.begins();
    loop {
        let Some(ended) = watched(context, work, (&sources, &view)).await? else {
            return Ok(());
        };
        view.rebuilds(&ended);
        let mut changes = Changes::of(&sources);
        match again(context, reached, work).await {
            Ok(built) => sources = built,
            Err(failure) if context.interrupt.is_cancelled() => return Err(failure),
            Err(failure) => {
                context.console.failure(&failure);
                view.waits();
                tokio::select! {
                    () = context.interrupt.cancelled() => return Ok(()),
                    () = changes.next() => {}
                }
            }
        }
    }
}

/// Watches until something has to be built anew; `None` if the command is interrupted.
async fn watched(
    context: &Context,
    work: &Work<'_>,
    (sources, view): (&BuiltFrom, &LiveView<'_>),
) -> Result<Option<LiveEnded>, Failure> {
    let (sender, mut told) = mpsc::unbounded_channel();
    let tell = move |event: LiveEvent| drop(sender.send(event));
    let mut watched = pin!(work.watch(sources, &tell));
    let ended = loop {
        tokio::select! {
            biased;
            () = context.interrupt.cancelled() => return Ok(None),
            Some(event) = told.recv() => view.event(event),
            ended = &mut watched => break ended?,
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
    let outcome = work.run(&mut view).await?;
    view.finished(&outcome, reached.address())?;
    Ok(outcome.sources)
}
