//! What `os download` and `os cache` say.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{
    image::{map_values, maps_moved},
    progress::{bytes, duration},
};
use crate::{
    cloud::OsImage,
    download::{Doubt, Event, Had, Lists, cache::Entry, fetch},
    image::block_map::Aside,
    ui::{
        Console,
        style::{neutralise, shown},
        table,
    },
};

/// Between two lines of progress, where nothing can change in place.
const LINES: Duration = Duration::from_secs(5);

/// Which image is meant.
pub fn chosen(console: &Console, image: &OsImage) {
    let kind = image
        .kind
        .map(|kind| format!(", {kind}"))
        .unwrap_or_default();
    console.say(&format!(
        "{} {}{kind}",
        neutralise(&image.slug),
        neutralise(&image.version)
    ));
}

/// Something that goes on, and how far it is.
struct Going<'a> {
    console: &'a Console,
    verb: &'static str,
    bar: Option<ProgressBar>,
    since: Instant,
    /// What was there when it began.
    before: u64,
    told: Instant,
}

impl<'a> Going<'a> {
    fn new(console: &'a Console, verb: &'static str, before: u64) -> Self {
        let bar = console.draws_bars().then(|| {
            let bar = console.bars().add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{prefix} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(verb);
            bar
        });
        Self {
            console,
            verb,
            bar,
            since: Instant::now(),
            before,
            told: Instant::now(),
        }
    }

    fn at(&mut self, done: u64, total: Option<u64>) {
        if self.bar.is_none() && self.told.elapsed() < LINES {
            return;
        }
        let text = amounts(done, total, self.before, self.since.elapsed());
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => self.console.say(&format!("{} {text}", self.verb)),
        }
        self.told = Instant::now();
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How far it is: `12 MB of 40 MB (30 %), 8 MB/s, 4 s left`.
fn amounts(done: u64, total: Option<u64>, before: u64, elapsed: Duration) -> String {
    let mut text = match total {
        Some(total) if total > 0 => {
            let percent = u128::from(done) * 100 / u128::from(total);
            format!("{} of {} ({percent} %)", bytes(done), bytes(total))
        }
        _ => bytes(done),
    };
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let came = done.saturating_sub(before);
    if millis < 300 || came == 0 {
        return text;
    }
    let rate = came.saturating_mul(1000) / millis;
    text.push_str(&format_args!(", {}/s", bytes(rate)).to_string());
    if let Some(left) = total.and_then(|total| total.checked_sub(done))
        && left > 0
        && rate > 0
    {
        let left = Duration::from_secs(left.div_ceil(rate));
        text.push_str(&format_args!(", {} left", duration(left)).to_string());
    }
    text
}

/// Tells events until there are no more. Returns the block maps that were moved.
pub async fn follow(console: &Console, mut events: UnboundedReceiver<Event>) -> Vec<Aside> {
    let mut moved = Vec::new();
    let mut going: Option<Going<'_>> = None;
    let mut before = 0;
    while let Some(event) = events.recv().await {
        match event {
            Event::Waits => console.say("another command has it at this moment: waiting"),
            Event::Lists => console.say("looking for lists of checksums beside it"),
            Event::PassedOver { list, names } => {
                let names = neutralise(&names.join(", ")).into_owned();
                console.warn(&format!(
                    "{} says nothing of this file: it has {}",
                    neutralise(&list),
                    if names.is_empty() { "no name" } else { &names }
                ));
            }
            Event::Joined => {
                (going, before) = (None, 0);
                console.warn(
                    "it is not right, and did not come in one piece: fetching it once more from its beginning",
                );
            }
            Event::NoLists { why, has_others } => {
                let what = if has_others {
                    "whether there are further checksums for it nobody knows"
                } else {
                    "whether there is a checksum for it nobody knows: try again later, or compare the SHA-256 with that of its makers"
                };
                console.warn(&format!("{}: {what}", neutralise(&why)));
            }
            Event::Cached => console.say("it was fetched before, and is as it was then"),
            Event::Damaged => {
                console.warn("what was fetched before is damaged: it is fetched again");
            }
            Event::Unasked(peer) => console.warn(&format!(
                "{} cannot be asked whether there is a newer one: what was fetched before is used",
                neutralise(&peer)
            )),
            Event::Fetch(fetch::Event::GoesOn(count)) => {
                before = count;
                console.say(&format!("{} were there already: going on", bytes(count)));
            }
            Event::Fetch(fetch::Event::Came { done, total }) => {
                going
                    .get_or_insert_with(|| Going::new(console, "fetching", before))
                    .at(done, total);
            }
            Event::Fetch(fetch::Event::Again(why)) => {
                console.say(&format!("{}: trying again", neutralise(&why)));
            }
            Event::Fetch(fetch::Event::Anew) => {
                (going, before) = (None, 0);
                console.warn("the file has changed on the server: fetching it from its beginning");
            }
            Event::Unpacked(done) => {
                if going.as_ref().is_none_or(|going| going.verb != "unpacking") {
                    drop(going.take());
                    going = Some(Going::new(console, "unpacking", 0));
                }
                if let Some(going) = &mut going {
                    going.at(done, None);
                }
            }
            Event::Maps(maps) => {
                maps_moved(console, &maps);
                moved.extend(maps);
            }
            Event::Shrunk(count) => console.detail(&format!(
                "{count} images went out of the cache, which has a limit (OSCLI_CACHE_LIMIT)"
            )),
        }
    }
    moved
}

/// What was had, and where it is.
pub fn had(
    console: &Console,
    (to, maps): (Option<&Path>, &[Aside]),
    had: &Had,
    has_looked: bool,
) -> io::Result<()> {
    if had.checked.is_empty() {
        let why = match had.lists {
            Lists::Asked => "nothing beside it tells what it should be; ",
            Lists::Unasked if has_looked => "its cloud does not tell what it should be; ",
            Lists::Unasked => "nobody looked for what it should be (--no-checksums); ",
            // It was said.
            Lists::Missed => "",
        };
        console.say(&format!("{why}what has come has SHA-256 {}", had.sha256));
    } else {
        let checked = neutralise(&had.checked.join(", ")).into_owned();
        console.say(&format!("checked by {checked}"));
    }
    for doubt in &had.doubts {
        console.warn(&format!(
            "{}: compare the SHA-256 with that of its makers",
            uncertain(*doubt)
        ));
    }
    let Some(to) = to else { return Ok(()) };
    if console.is_json() {
        return console.json(&json!({
            "path": to.display().to_string(),
            "bytes": had.bytes,
            "fetched_bytes": had.packed,
            "fetched_sha256": had.sha256,
            "checked": had.checked,
            "unproven": !had.doubts.is_empty(),
            "cached": had.is_cached,
            "block_maps": map_values(maps),
        }));
    }
    console.say(&format!("wrote {}, {}", shown(to), bytes(had.bytes)));
    Ok(())
}

fn uncertain(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::Parts => {
            "it came in parts, and nothing proves that all of them are of one file: its server shows no state of it that is certain, and no checksum is known"
        }
        Doubt::End { is_whole: true } => {
            "its server did not tell how long it is: that it is whole is told by what it is packed in alone, which could go on behind that"
        }
        Doubt::End { is_whole: false } => {
            "its server did not tell how long it is, and it cannot be unpacked to see whether it is whole"
        }
        Doubt::Former => {
            "a former version of os has fetched it, and did not write down whether its server told how long it is"
        }
    }
}

/// What is kept.
pub fn listed(console: &Console, entries: &[Entry]) -> io::Result<()> {
    if console.is_json() {
        return entries
            .iter()
            .try_for_each(|entry| console.json(&value(entry)));
    }
    if entries.is_empty() {
        console.say("nothing is kept");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let state = match (entry.is_used, &entry.about) {
                (true, _) => "in use",
                (false, None) => "part",
                (false, Some(_)) => "whole",
            };
            vec![
                neutralise(&entry.name).into_owned(),
                bytes(entry.bytes),
                state.to_owned(),
                if entry.is_used {
                    String::new()
                } else {
                    format!("used {} ago", ago(entry.idle()))
                },
            ]
        })
        .collect();
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line.trim_end()))
}

fn ago(idle: Duration) -> String {
    match idle.as_secs() {
        seconds @ 0..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn value(entry: &Entry) -> serde_json::Value {
    json!({
        "name": entry.name,
        "bytes": entry.bytes,
        "whole": entry.about.is_some(),
        "in_use": entry.is_used,
        "sha256": entry.about.as_ref().map(|about| &about.sha256),
        "idle_seconds": if entry.is_used { 0 } else { entry.idle().as_secs() },
    })
}

/// It stays, for somebody uses it.
pub fn in_use(console: &Console, entry: &Entry) {
    console.warn(&format!("{} is in use, and stays", neutralise(&entry.name)));
}

/// What was removed.
pub fn removed(console: &Console, entries: &[Entry]) -> io::Result<()> {
    if console.is_json() {
        return entries
            .iter()
            .try_for_each(|entry| console.json(&value(entry)));
    }
    for entry in entries {
        console.say(&format!("removed {}", neutralise(&entry.name)));
    }
    let freed: u64 = entries.iter().map(|entry| entry.bytes).sum();
    console.say(&format!("{} are free now", bytes(freed)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_what_came_now() {
        let second = Duration::from_secs(1);
        assert_eq!(
            amounts(60_000_000, Some(100_000_000), 50_000_000, second),
            "60 MB of 100 MB (60 %), 10 MB/s, 4.0 s left"
        );
        assert_eq!(amounts(5_000_000, None, 0, second), "5.0 MB, 5.0 MB/s");
        assert_eq!(amounts(0, Some(0), 0, second), "0 B");
    }
}
