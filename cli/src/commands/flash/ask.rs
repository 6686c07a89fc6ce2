//! What a person is asked before drives are written.

use std::path::{Path, PathBuf};

use super::Args;
use crate::{
    commands::{Context, configure::question},
    failure::{Failure, Kind},
    flash::{
        choose::{Asked, is_removable, judge},
        drives::Drive,
        named::Holding,
    },
    image::container::Length,
    ui::render::flash as say,
};

/// The drive that is meant where none is named.
pub(super) async fn offered(
    context: &Context,
    args: &Args,
    found: &[Drive],
    asked: Asked,
) -> Result<PathBuf, Failure> {
    let asked = Asked {
        is_named: false,
        ..asked
    };
    let good: Vec<&Drive> = found
        .iter()
        .filter(|drive| judge(drive, asked).is_ok())
        .collect();
    match good.as_slice() {
        [] => {
            for drive in found.iter().filter(|drive| is_removable(drive)) {
                if let Err(refusal) = judge(drive, asked) {
                    say::not_offered(&context.console, drive, &refusal);
                }
            }
            let words = "there is no removable drive that can be written";
            Err(Failure::new(Kind::Usage, words)
                .hint("put a card or a stick in, or name a drive; `os flash --list` shows all"))
        }
        _ if args.yes || !context.console.may_prompt() => {
            let words = "which drive is to be written is not said";
            let names = good.iter().map(|drive| drive.path.display().to_string());
            let names: Vec<String> = names.collect();
            Err(Failure::new(Kind::Usage, words)
                .hint(format!("name it; there is {}", names.join(", "))))
        }
        [only] => Ok(only.path.clone()),
        several => {
            let lines: Vec<String> = several.iter().map(|drive| say::line(drive)).collect();
            let paths: Vec<PathBuf> = several.iter().map(|drive| drive.path.clone()).collect();
            let index = question(move || say::which(&lines)).await?;
            paths
                .into_iter()
                .nth(index)
                .ok_or_else(Failure::interrupted)
        }
    }
}

/// Asks once, for all drives.
pub(super) async fn confirmed(
    context: &Context,
    args: &Args,
    (image, length): (&Path, Length),
    held: &[Holding],
) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !context.console.may_prompt() {
        let words = "nobody can be asked whether all that is on the drive may be lost";
        return Err(Failure::new(Kind::Usage, words).hint("--yes asks nothing"));
    }
    for held in held {
        say::about(
            &context.console,
            &held.named.path,
            held.named.drive.as_ref(),
            held.size(),
        );
    }
    let is_drive = |held: &Holding| held.named.drive.is_some();
    if length.exact().is_none() && held.iter().any(is_drive) {
        say::may_not_fit(&context.console, image, length);
    }
    let (image, count) = (image.to_owned(), held.len());
    if question(move || say::may_be_lost(&image, count)).await? {
        return Ok(());
    }
    Err(Failure::new(Kind::Other, "nothing was written"))
}
