//! What `os image`, `os config` and `os configure` say of images.

mod inspected;
mod maps;

use std::{io, path::Path};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    image::{Disk, Done, block_map::Aside, fat::Entry},
    provision::config::ConfigError,
    ui::{
        Console,
        style::{neutralise, shown},
        table,
    },
};
pub use inspected::inspected;
pub use maps::{map_values, maps_moved};

/// Nothing but the order says which partition it is.
pub fn guessed(console: &Console, image: &Path, number: u32) {
    console.warn(&format!(
        "no partition of {} is called resin-boot or has a device-type.json: partition {number} is taken for the one that is booted from",
        shown(image)
    ));
}

/// What an earlier change left in the boot partition was put right.
pub fn mended(console: &Console, image: &Path) {
    console.say(&format!(
        "the boot partition of {} was not closed properly, as after a change that was cut: that is put right",
        shown(image)
    ));
}

/// A packed image was made anew, and has other names.
pub fn linked(console: &Console, image: &Path) {
    console.warn(&format!(
        "{} had other names (hard links), which keep the image as it was: a packed one is packed again beside itself",
        shown(image)
    ));
}

/// A packed image on its way.
#[derive(Debug)]
pub struct Packing {
    bar: Option<ProgressBar>,
}

impl Packing {
    /// Begins; nothing is shown before the first piece.
    #[must_use]
    pub fn new(console: &Console, disk: &Disk) -> Self {
        let size = fs_err::metadata(disk.path()).map_or(0, |found| found.len());
        let is_packed = disk.unpacked().is_some();
        let bar = (is_packed && console.draws_bars()).then(|| {
            let style = ProgressStyle::with_template("packing again  {bar:30} {percent} %");
            let bar = ProgressBar::new(size)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            console.bars().add(bar)
        });
        Self { bar }
    }

    /// So many bytes of the packed file were read.
    pub fn at(&mut self, taken: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(taken);
        }
    }
}

impl Drop for Packing {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What became of files.
pub fn changed(
    console: &Console,
    image: &Path,
    (done, maps): (&[(&str, Done)], &[Aside]),
) -> io::Result<()> {
    maps_moved(console, maps);
    if console.is_json() {
        let files: Vec<Value> = done
            .iter()
            .map(|(path, done)| json!({ "path": path, "done": word(*done) }))
            .collect();
        return console.json(&json!({
            "image": image.display().to_string(), "files": files, "block_maps": map_values(maps),
        }));
    }
    for (path, done) in done {
        let path = neutralise(path);
        match done {
            Done::Added | Done::Changed => console.say(&format!("wrote {path}")),
            Done::Removed => console.say(&format!("removed {path}")),
            Done::Same => console.detail(&format!("{path} is so already")),
        }
    }
    if done.iter().all(|(_, done)| *done == Done::Same) {
        console.say(&format!("nothing changed: {} is so already", shown(image)));
    }
    Ok(())
}

fn word(done: Done) -> &'static str {
    match done {
        Done::Added => "added",
        Done::Changed => "changed",
        Done::Removed => "removed",
        Done::Same => "same",
    }
}

/// A folder.
pub fn listed(console: &Console, entries: &[Entry]) -> io::Result<()> {
    if console.is_json() {
        return entries.iter().try_for_each(|entry| {
            let kind = if entry.is_folder { "folder" } else { "file" };
            console.json(&json!({ "name": entry.name, "kind": kind, "size": entry.size }))
        });
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let (size, end) = if entry.is_folder {
                (String::new(), "/")
            } else {
                (entry.size.to_string(), "")
            };
            vec![size, format!("{}{end}", neutralise(&entry.name))]
        })
        .collect();
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line))
}

/// A file was taken out.
pub fn extracted(console: &Console, file: &str, to: &Path, size: u64) -> io::Result<()> {
    if console.is_json() {
        return console
            .json(&json!({ "file": file, "to": to.display().to_string(), "size": size }));
    }
    console.say(&format!("wrote {}", shown(to)));
    Ok(())
}

/// Values of config.json that devices will not take.
pub fn wrong(console: &Console, wrong: &[ConfigError]) {
    for error in wrong {
        console.warn(&format!("config.json: {}", neutralise(&error.to_string())));
    }
}
