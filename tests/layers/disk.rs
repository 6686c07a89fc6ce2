//! The disk: `partitions.toml` of the system tree, which the virtual builder reads, and the kickstart of wic.

use super::{files, text, variable};
use std::collections::BTreeMap;

/// A partition as both sides tell of it.
#[derive(Debug, PartialEq)]
struct Partition {
    label: String,
    file_system: String,
    mib: u32,
    fat_bits: Option<u32>,
    boots: bool,
}

/// `partitions.toml`: what stands before the first partition, and the partitions. Only what the file uses of TOML.
fn partitions_of_the_tree(text: &str) -> (BTreeMap<String, String>, Vec<Partition>) {
    let mut tables = vec![BTreeMap::new()];
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[partition]]" {
            tables.push(BTreeMap::new());
            continue;
        }
        let (key, value) = line.split_once('=').expect("a key and a value");
        let value = value.trim().trim_matches('"').to_owned();
        let table = tables.last_mut().expect("a table");
        assert!(table.insert(key.trim().to_owned(), value).is_none());
    }
    let head = tables.remove(0);
    let partitions = tables
        .iter()
        .map(|table| Partition {
            label: table["label"].clone(),
            file_system: table["file_system"].clone(),
            mib: table["size"].parse().expect("a size in MiB"),
            fat_bits: table
                .get("fat_bits")
                .map(|bits| bits.parse().expect("bits")),
            boots: table.get("boot").is_some_and(|value| value == "true"),
        })
        .collect();
    (head, partitions)
}

fn kickstart() -> String {
    text("os-build/layers/meta-os/files/wic/os-disk.wks.in")
}

/// The word after an option of a kickstart's line.
fn option<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut words = line.split([' ', '=']).map(|word| word.trim_matches('"'));
    words.find(|word| *word == name)?;
    words.next()
}

fn partitions_of_wic() -> Vec<Partition> {
    let sizes = text("os-build/layers/meta-os/conf/distro/include/os-partitions.inc");
    let mib = |size: &str| {
        let name = size
            .trim_start_matches("${")
            .trim_end_matches("}M")
            .to_owned();
        let value = variable(&sizes, &name).unwrap_or_else(|| panic!("a size for {name}"));
        value.parse().expect("a size in MiB")
    };
    kickstart()
        .lines()
        .filter(|line| line.starts_with("part "))
        .map(|line| Partition {
            label: option(line, "--label").expect("a label").to_owned(),
            file_system: option(line, "--fstype").expect("a file system").to_owned(),
            mib: mib(option(line, "--fixed-size").expect("a size")),
            fat_bits: option(line, "-F").map(|bits| bits.parse().expect("bits")),
            boots: line.contains("${OS_BOOT_PARTITION_TYPE}"),
        })
        .collect()
}

#[test]
fn the_disk_of_wic_is_that_of_the_system_tree() {
    let (head, of_the_tree) = partitions_of_the_tree(&text("os-build/system/partitions.toml"));
    assert_eq!(partitions_of_wic(), of_the_tree);

    let align: u32 = head["align"].parse().expect("MiB");
    for line in kickstart().lines().filter(|line| line.starts_with("part ")) {
        let kib: u32 = option(line, "--align")
            .and_then(|kib| kib.parse().ok())
            .unwrap_or_else(|| panic!("an alignment in {line}"));
        assert_eq!(kib, align * 1024, "{line}");
    }
    // wic puts the first partition at the first multiple of its alignment behind the table.
    assert_eq!(head["reserved"], head["align"]);
}

#[test]
fn an_msdos_table_is_extended_where_wic_extends_it() {
    let (head, partitions) = partitions_of_the_tree(&text("os-build/system/partitions.toml"));
    // Of more than four, wic makes logical partitions of all behind the third.
    assert!(partitions.len() > 4);
    assert_eq!(partitions[2].label, head["extended_after"]);
}

#[test]
fn boards_have_both_tables() {
    let mut tables: Vec<String> = files("os-build/layers", ".inc")
        .iter()
        .filter_map(|path| {
            let text = fs_err::read_to_string(path).expect("a file");
            variable(&text, "OS_PARTITION_TABLE")
        })
        .collect();
    tables.sort();
    assert_eq!(tables, ["gpt", "msdos"]);
}
