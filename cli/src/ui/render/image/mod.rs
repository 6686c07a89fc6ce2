//! What `os image`, `os config` and `os configure` say of images.

use std::{io, path::Path};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::progress::bytes;
use crate::{
    image::{
        Disk, Done, Holder,
        block_map::Aside,
        boot::By,
        container::{Format, Length},
        fat::{self, Entry},
        table::Kind,
    },
    provision::{
        config::ConfigError,
        inspect::{Inspection, Named, System},
    },
    ui::{Console, style::neutralise, table},
};

/// Nothing but the order says which partition it is.
pub fn guessed(console: &Console, image: &Path, number: u32) {
    console.warn(&format!(
        "no partition of {} is called resin-boot or has a device-type.json: partition {number} is taken for the one that is booted from",
        image.display()
    ));
}

/// What an earlier change left in the boot partition was put right.
pub fn mended(console: &Console, image: &Path) {
    console.say(&format!(
        "the boot partition of {} was not closed properly, as after a change that was cut: that is put right",
        image.display()
    ));
}

/// A packed image was made anew, and has other names.
pub fn linked(console: &Console, image: &Path) {
    console.warn(&format!(
        "{} had other names (hard links), which keep the image as it was: a packed one is packed again beside itself",
        image.display()
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
    set_aside(console, maps);
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
        console.say(&format!(
            "nothing changed: {} is so already",
            image.display()
        ));
    }
    Ok(())
}

/// What became of block maps that are not of the image any more.
pub fn set_aside(console: &Console, maps: &[Aside]) {
    for aside in maps {
        let map = aside.map.display().to_string();
        let map = neutralise(&map);
        match &aside.now {
            Ok(now) => {
                let now = now.display().to_string();
                console.say(&format!(
                    "{map} is of the image as it was: it is called {} now",
                    neutralise(&now)
                ));
            }
            Err(error) => {
                console.warn(&format!(
                    "{map} is of the image as it was, and cannot be renamed: {}",
                    neutralise(error)
                ));
                console.hint("remove it, or write the image by `os flash --no-bmap`");
            }
        }
    }
}

/// The same, for programs.
#[must_use]
pub fn map_values(maps: &[Aside]) -> Vec<Value> {
    let value = |aside: &Aside| {
        let now = aside.now.as_ref();
        json!({
            "path": aside.map.display().to_string(),
            "renamed_to": now.ok().map(|now| now.display().to_string()),
            "error": now.err(),
        })
    };
    maps.iter().map(value).collect()
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
        return console.json(&json!({ "file": file, "to": to, "size": size }));
    }
    console.say(&format!("wrote {}", to.display()));
    Ok(())
}

fn format(holder: Holder) -> &'static str {
    match holder {
        Holder::Drive => "drive",
        Holder::File(Format::Raw) => "raw",
        Holder::File(Format::Gzip) => "gzip",
        Holder::File(Format::Xz) => "xz",
        Holder::File(Format::Zstd) => "zstd",
        Holder::File(Format::Bzip2) => "bzip2",
        Holder::File(Format::Zip) => "zip",
    }
}

fn table_word(kind: Kind) -> &'static str {
    match kind {
        Kind::None => "none",
        Kind::Mbr => "mbr",
        Kind::Gpt => "gpt",
        Kind::GptCopy => "gpt-copy",
    }
}

fn found_by(by: &By) -> String {
    match by {
        By::Name(name) => format!("called {name}"),
        By::Mark => "has a device-type.json".to_owned(),
        By::Order => "the first one; nothing says that it is".to_owned(),
        By::Whole => "the image is nothing else".to_owned(),
    }
}

fn file_system(kind: fat::Kind) -> &'static str {
    match kind {
        fat::Kind::Fat12 => "FAT12",
        fat::Kind::Fat16 => "FAT16",
        fat::Kind::Fat32 => "FAT32",
    }
}

/// What is on an image.
pub fn inspected(console: &Console, disk: &Disk, found: &Inspection) -> io::Result<()> {
    if console.is_json() {
        return console.json(&value(disk, found));
    }
    let mut rows = vec![
        ("image", disk.path().display().to_string()),
        ("format", format(disk.holder()).to_owned()),
        ("size", length(found)),
        ("system", system(found.system.as_ref())),
    ];
    match &found.device {
        Some(device) => {
            rows.push(("type", device.slug.clone()));
            rows.extend(device.arch.clone().map(|arch| ("architecture", arch)));
        }
        None => rows.push(("type", "unknown: there is no device-type.json".to_owned())),
    }
    rows.push(("table", table_word(found.table).to_owned()));
    for named in &found.partitions {
        rows.push(("partition", partition(named)));
    }
    if found.has_more {
        let words = "more, logical ones: a packed image is not unpacked for them";
        rows.push(("partition", words.to_owned()));
    }
    match &found.boot {
        None => rows.push((
            "boot",
            "unknown: no partition has a FAT file system".to_owned(),
        )),
        Some(boot) => {
            let whole = match boot.partition {
                0 => String::new(),
                number => format!("partition {number}, "),
            };
            let kind = file_system(boot.file_system);
            rows.push(("boot", format!("{whole}{kind}: {}", found_by(&boot.by))));
            if let Some(words) = open(boot.is_closed.as_ref()) {
                rows.push(("boot", words));
            }
            let (total, free) = boot.room;
            rows.push(("free there", format!("{} of {}", bytes(free), bytes(total))));
        }
    }
    for name in &found.connections {
        rows.push(("connection", name.clone()));
    }
    if !found.preloaded.is_empty() {
        rows.push(("preloaded", found.preloaded.join(", ")));
    }
    match &found.config {
        None => rows.push(("config.json", "there is none".to_owned())),
        Some(Err(error)) => rows.push(("config.json", error.to_string())),
        Some(Ok(Value::Object(keys))) => {
            for (key, value) in keys {
                rows.push(("config.json", format!("{key} = {value}")));
            }
        }
        Some(Ok(_)) => {}
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), neutralise(&value).into_owned()])
        .collect();
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line))?;
    wrong(console, &found.wrong);
    Ok(())
}

/// Values of config.json that devices will not take.
pub fn wrong(console: &Console, wrong: &[ConfigError]) {
    for error in wrong {
        console.warn(&format!("config.json: {}", neutralise(&error.to_string())));
    }
}

fn open(is_closed: Result<&bool, &String>) -> Option<String> {
    match is_closed {
        Ok(true) => None,
        Ok(false) => Some(
            "not closed properly, as after a change that was cut: the next change puts that right"
                .to_owned(),
        ),
        Err(error) => Some(error.clone()),
    }
}

fn system(system: Option<&System>) -> String {
    let Some(system) = system else {
        return "unknown: there is no os-release".to_owned();
    };
    let parts = [&system.name, &system.version].map(|part| part.as_deref().unwrap_or("?"));
    parts.join(" ")
}

fn length(found: &Inspection) -> String {
    match &found.length {
        Ok(Length::Exactly(size)) => bytes(*size),
        Ok(Length::AtLeast(0)) => "unknown: its file does not say it".to_owned(),
        Ok(Length::AtLeast(least)) => format!("{} or more", bytes(*least)),
        Ok(Length::Said(said)) => format!(
            "{} by the number at the end of its file, which is wrong where that was cut off",
            bytes(*said)
        ),
        Err(error) => format!("unknown: {error}"),
    }
}

fn partition(named: &Named) -> String {
    let partition = &named.partition;
    let name = named.name.as_deref().unwrap_or("-");
    format!("{}  {}  {}", partition.number, bytes(partition.size), name)
}

fn value(disk: &Disk, found: &Inspection) -> Value {
    let partitions: Vec<Value> = found
        .partitions
        .iter()
        .map(|named| {
            let partition = &named.partition;
            json!({
                "number": partition.number, "start": partition.start, "size": partition.size, "name": named.name,
            })
        })
        .collect();
    let boot = found.boot.as_ref().map(|boot| {
        let by = match boot.by {
            By::Name(_) => "name",
            By::Mark => "device-type.json",
            By::Order => "order",
            By::Whole => "whole",
        };
        let (total, free) = boot.room;
        json!({
            "partition": boot.partition, "found_by": by, "file_system": file_system(boot.file_system), "total": total, "free": free,
            "closed": boot.is_closed.as_ref().ok(), "error": boot.is_closed.as_ref().err(),
        })
    });
    let system = found.system.as_ref().map(|system| {
        let from = if system.is_of_root { "root" } else { "boot" };
        json!({ "name": system.name, "version": system.version, "slug": system.slug, "from": from })
    });
    let device = found.device.as_ref();
    let config = found.config.as_ref();
    json!({
        "image": disk.path().display().to_string(),
        "format": format(disk.holder()),
        "size": found.length.as_ref().ok().and_then(|length| length.exact()),
        "size_at_least": found.length.as_ref().ok().map(|length| match length {
            Length::Said(_) => 0,
            length => length.least(),
        }),
        "size_said": found.length.as_ref().ok().map(|length| length.least()),
        "size_error": found.length.as_ref().err(),
        "table": table_word(found.table),
        "partitions": partitions,
        "more_partitions": found.has_more,
        "boot": boot,
        "system": system,
        "device_type": device.map(|device| &device.slug),
        "arch": device.and_then(|device| device.arch.as_ref()),
        "config": config.and_then(|config| config.as_ref().ok()),
        "config_error": config.and_then(|config| Some(config.as_ref().err()?.to_string())),
        "config_warnings": found.wrong.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "connections": found.connections,
        "preloaded": found.preloaded,
        "unpacked": disk.unpacked(),
    })
}
