//! What is on an image, as lines and as JSON.

use std::io;

use serde_json::{Value, json};

use super::{super::progress::bytes, wrong};
use crate::{
    image::{
        Disk, Holder,
        boot::By,
        container::{Format, Length},
        fat,
        table::Kind,
    },
    provision::inspect::{Inspection, Named, System},
    ui::{Console, style::neutralise, table},
};

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
