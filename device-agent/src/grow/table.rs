//! A partition table, as `sfdisk --json` tells it.
//!
//! In: its output. Out: a [`Table`] in sectors. Pure.

use std::collections::BTreeSet;

use serde::Deserialize;
use thiserror::Error;

/// Bytes of the output.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// Types of partitions that only hold others, on a table of four entries.
const EXTENDED: [&str; 3] = ["5", "f", "85"];

/// Why it is no table.
#[derive(Debug, Error)]
pub(crate) enum TableError {
    /// Not what `sfdisk` writes.
    #[error("its partition table is not understood: {0}")]
    Format(String),
    /// Neither of the two kinds.
    #[error("its partition table is of the kind `{0}`: dos or gpt is expected")]
    Kind(String),
}

/// The kind of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Four entries, of which one may hold more.
    Mbr,
    /// A second table lies at the end of the disk.
    Gpt,
}

/// A partition, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) number: u32,
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) is_extended: bool,
}

impl Partition {
    /// The first sector behind it.
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) kind: Kind,
    /// Bytes.
    pub(super) sector: u64,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Deserialize)]
struct Written {
    partitiontable: WrittenTable,
}

#[derive(Deserialize)]
struct WrittenTable {
    label: String,
    device: String,
    #[serde(default = "usual_sector")]
    sectorsize: u64,
    #[serde(default)]
    partitions: Vec<WrittenPartition>,
}

#[derive(Deserialize)]
struct WrittenPartition {
    node: String,
    start: u64,
    size: u64,
    #[serde(rename = "type", default)]
    kind: String,
}

fn usual_sector() -> u64 {
    512
}

/// Reads a table.
pub(super) fn read(bytes: &[u8]) -> Result<Table, TableError> {
    let format = |words: String| TableError::Format(words);
    if bytes.len() > MAX_BYTES {
        return Err(format("it is too long".to_owned()));
    }
    let written: Written =
        serde_json::from_slice(bytes).map_err(|error| format(error.to_string()))?;
    let written = written.partitiontable;
    let kind = match written.label.as_str() {
        "dos" => Kind::Mbr,
        "gpt" => Kind::Gpt,
        other => return Err(TableError::Kind(other.chars().take(20).collect())),
    };
    if !matches!(written.sectorsize, 512..=65536) {
        return Err(format(format!("sectors of {} bytes", written.sectorsize)));
    }
    let partition = |partition: &WrittenPartition| {
        // The number stands behind the disk's name, and behind a `p` where this ends in a digit.
        let behind = partition.node.strip_prefix(&written.device)?;
        let number = behind.strip_prefix('p').unwrap_or(behind).parse().ok()?;
        Some(Partition {
            number,
            start: partition.start,
            size: partition.size,
            is_extended: kind == Kind::Mbr && EXTENDED.contains(&partition.kind.as_str()),
        })
    };
    let partitions = written.partitions.iter().map(partition);
    let partitions: Option<Vec<_>> = partitions.collect();
    let partitions =
        partitions.ok_or_else(|| format("the name of a partition has no number".to_owned()))?;
    let mut numbers = BTreeSet::new();
    let is_twice = |part: &&Partition| !numbers.insert(part.number);
    if let Some(part) = partitions.iter().find(is_twice) {
        // Which of the two would grow is anybody's guess.
        return Err(format(format!(
            "partition {} stands there twice",
            part.number
        )));
    }
    Ok(Table {
        kind,
        sector: written.sectorsize,
        partitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_is_told() {
        let words = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert!(words("").starts_with("its partition table is not understood"));
        assert!(words("{}").contains("partitiontable"));
        assert_eq!(
            words(r#"{"partitiontable":{"label":"sun","device":"/dev/vda"}}"#),
            "its partition table is of the kind `sun`: dos or gpt is expected"
        );
        for node in ["/dev/vdb1", "/dev/vda", "/dev/vda-1", "/dev/vdap"] {
            let text = format!(
                r#"{{"partitiontable":{{"label":"gpt","device":"/dev/vda","partitions":[{{"node":"{node}","start":1,"size":1}}]}}}}"#
            );
            assert!(words(&text).contains("has no number"), "{node}");
        }
        let twice = r#"{"partitiontable":{"label":"dos","device":"/dev/vda","partitions":[
            {"node":"/dev/vda2","start":2,"size":2},{"node":"/dev/vda2","start":1,"size":9,"type":"f"}]}}"#;
        assert!(words(twice).contains("partition 2 stands there twice"));
        let text = r#"{"partitiontable":{"label":"gpt","device":"/dev/vda","sectorsize":0}}"#;
        assert!(words(text).contains("sectors of 0 bytes"));
    }

    #[test]
    fn numbers_stand_behind_the_name_of_the_disk() {
        for device in ["/dev/vda", "/dev/mmcblk0", "/dev/nvme0n1"] {
            let p = if device.ends_with(|c: char| c.is_ascii_digit()) {
                "p"
            } else {
                ""
            };
            let text = format!(
                r#"{{"partitiontable":{{"label":"dos","device":"{device}","sectorsize":512,"partitions":[
                {{"node":"{device}{p}4","start":8,"size":90,"type":"f"}},{{"node":"{device}{p}6","start":16,"size":8,"type":"83"}}]}}}}"#
            );
            let table = read(text.as_bytes()).unwrap();
            let told: Vec<_> = table
                .partitions
                .iter()
                .map(|part| (part.number, part.end(), part.is_extended))
                .collect();
            assert_eq!(told, [(4, 98, true), (6, 24, false)]);
        }
    }
}
