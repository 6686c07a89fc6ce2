//! What `os flash` says: which drives there are, what it asks, how far each is, how it ended.

mod flashing;

use std::{fmt::Display, io, path::Path};

use dialoguer::{Confirm, Select, theme::ColorfulTheme};
use serde_json::{Value, json};

use super::progress::bytes;
use crate::{
    flash::{choose::Refusal, drives::Drive},
    image::container::Length,
    ui::{
        Console,
        style::{neutralise, shown},
        table, terminal,
    },
};

pub use flashing::Flashing;

fn labels(drive: &Drive) -> String {
    let labels = drive
        .partitions
        .iter()
        .filter_map(|part| part.label.as_deref())
        .chain(
            drive
                .label
                .as_deref()
                .filter(|_| drive.partitions.is_empty()),
        );
    let labels: Vec<_> = labels.map(neutralise).collect();
    labels.join(", ")
}

/// A drive in one line.
#[must_use]
pub fn line(drive: &Drive) -> String {
    let mut parts = vec![shown(&drive.path)];
    if !drive.model.is_empty() {
        parts.push(neutralise(&drive.model).into_owned());
    }
    parts.push(bytes(drive.size));
    parts.push(drive.bus.word().to_owned());
    if let Some(serial) = &drive.serial {
        parts.push(format!("serial {}", neutralise(serial)));
    }
    let labels = labels(drive);
    if !labels.is_empty() {
        parts.push(format!("with {labels}"));
    }
    parts.join(", ")
}

/// The drives, and why some of them are not written.
pub fn listed(console: &Console, drives: &[(&Drive, Option<Refusal>)]) -> io::Result<()> {
    if console.is_json() {
        let drives = drives.iter().map(|(drive, refusal)| {
            json!({
                "path": drive.path.display().to_string(),
                "bytes": drive.size,
                "bus": drive.bus.word(),
                "model": drive.model,
                "label": drive.label,
                "serial": drive.serial,
                "partitions": drive.partitions.iter().map(|part| json!({ "name": part.name, "label": part.label })).collect::<Vec<_>>(),
                "mounted": drive.mounts.iter().map(|point| point.display().to_string()).collect::<Vec<_>>(),
                "refused": refusal.as_ref().map(ToString::to_string),
            })
        });
        return console.json(&drives.collect::<Vec<Value>>());
    }
    if drives.is_empty() {
        console.say("there are no drives");
        return Ok(());
    }
    let head = ["DRIVE", "SIZE", "BUS", "MODEL", "HOLDS", ""].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(drives.iter().map(|(drive, refusal)| {
        vec![
            shown(&drive.path),
            bytes(drive.size),
            drive.bus.word().to_owned(),
            neutralise(&drive.model).into_owned(),
            labels(drive),
            refusal
                .as_ref()
                .map(|refusal| neutralise(&refusal.to_string()).into_owned())
                .unwrap_or_default(),
        ]
    }));
    for line in table::align(&rows) {
        console.data(line.trim_end())?;
    }
    Ok(())
}

/// A removable drive that is not offered.
pub fn not_offered(console: &Console, drive: &Drive, refusal: &Refusal) {
    let refusal = refusal.to_string();
    console.warn(&format!(
        "{} is not written: {}",
        shown(&drive.path),
        neutralise(&refusal)
    ));
}

/// A block map is used.
pub fn by_block_map(console: &Console, path: &Path) {
    console.detail(&format!("only what {} names is written", shown(path)));
}

/// A block map was not looked at, for it may be of what lies beside the image.
pub fn map_passed_over(console: &Console, map: &Path) {
    let map = shown(map);
    console.say(&format!(
        "{map} is not used: what it is called after is there, too; --bmap {map} takes it"
    ));
}

/// No board boots from such an image.
pub fn has_no_table(console: &Console, image: &Path) {
    console.warn(&format!(
        "{} begins with neither a partition table nor a file system that is known: it may be no disk image",
        shown(image)
    ));
}

/// The image has less than its table says, but all of its partitions.
pub fn lacks_copy(console: &Console, image: &Path) {
    console.warn(&format!(
        "{} ends before the copy of its partition table does: it may have been cut off",
        shown(image)
    ));
}

/// The image ends before one of its partitions does, as `words` say.
pub fn is_short(console: &Console, words: &dyn Display) {
    console.warn(&format!(
        "{}: it is written as it is, since some images leave out what is empty",
        neutralise(&words.to_string())
    ));
}

/// An image that may be larger than the drives that are asked about.
pub fn may_not_fit(console: &Console, image: &Path, length: Length) {
    let known = match (length, length.least()) {
        (_, 0) => "does not say how large it is unpacked".to_owned(),
        (Length::Said(said), _) => {
            format!(
                "says at its end, which may be wrong, that it has {} unpacked",
                bytes(said)
            )
        }
        (_, least) => format!("says only that it has {} or more unpacked", bytes(least)),
    };
    console.ask(&format!(
        "{} {known}: a drive that is too small is known as such when its content is lost",
        shown(image)
    ));
}

/// What is read back may come from the system's memory.
pub fn is_cached(console: &Console, path: &Path) {
    console.warn(&format!(
        "{} has no direct input and output: what is read back may come from memory and not from the medium",
        shown(path)
    ));
}

/// Something was unmounted.
pub fn unmounted(console: &Console, point: &Path) {
    console.say(&format!("unmounted {}", shown(point)));
}

/// A drive, or a file, that is asked about.
pub fn about(console: &Console, path: &Path, drive: Option<&Drive>, size: u64) {
    let text = match drive {
        Some(drive) => line(drive),
        None => format!(
            "{}, a file of {}, which is overwritten",
            shown(path),
            bytes(size)
        ),
    };
    console.ask(&text);
    for point in drive.iter().flat_map(|drive| &drive.mounts) {
        let point = shown(point);
        console.ask(&format!("  mounted on {point}: will be unmounted"));
    }
}

/// Asks which drive is meant. Blocks, as what follows.
pub fn which(lines: &[String]) -> io::Result<usize> {
    let theme = ColorfulTheme::default();
    let question = Select::with_theme(&theme)
        .with_prompt("Which drive?")
        .items(lines)
        .default(0);
    terminal::asking(|| question.interact())
}

/// Asks whether drives may be overwritten.
pub fn may_be_lost(image: &Path, count: usize) -> io::Result<bool> {
    let it = if count == 1 { "it" } else { "them" };
    let name = image
        .file_name()
        .unwrap_or(image.as_os_str())
        .to_string_lossy();
    let theme = ColorfulTheme::default();
    let question = Confirm::with_theme(&theme)
        .with_prompt(format!(
            "All that is on {it} will be lost. Write {}?",
            neutralise(&name)
        ))
        .default(false);
    terminal::asking(|| question.interact())
}
