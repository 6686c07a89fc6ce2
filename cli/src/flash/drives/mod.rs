//! Which drives there are, and what is on them: from `/sys/block`, `/proc` and what udev has noted. Reads only.

#[cfg(test)]
mod tests;
mod used;

use std::path::{Path, PathBuf};

use fs_err as fs;

use used::{Used, over, used};

/// Bytes of a file of the system that are looked at.
const MOST_BYTES: usize = 1024 * 1024;
/// How many folders above a drive its bus is looked for in.
const ABOVE: usize = 8;
/// Optical and floppy drives: removable, and nothing boards boot from.
const OTHERS: [&str; 2] = ["sr", "fd"];
/// Bytes of a sector in `/sys`, whatever those of the drive are.
const SECTOR: u64 = 512;

/// Where the system tells of drives.
#[derive(Debug, Clone)]
pub struct Roots {
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/run`.
    pub run: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
            run: "/run".into(),
            dev: "/dev".into(),
        }
    }
}

/// How a drive is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// A stick, or a reader of cards.
    Usb,
    /// A card in a slot.
    Card,
    /// A chip on the board, of the kind that cards are.
    Chip,
    /// `NVMe`.
    Nvme,
    /// A file in the place of a drive.
    Loop,
    /// Made of other drives: LVM, dm-crypt, md.
    Virtual,
    /// Anything else: SATA, virtio and others.
    Inside,
}

impl Bus {
    /// A word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Usb => "usb",
            Self::Card => "card",
            Self::Chip => "emmc",
            Self::Nvme => "nvme",
            Self::Loop => "loop",
            Self::Virtual => "virtual",
            Self::Inside => "internal",
        }
    }
}

/// A number by which the kernel knows a drive or a partition: major and minor.
pub type Number = (u32, u32);

/// A partition of a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// `sda1`.
    pub name: String,
    /// Its number.
    pub number: Number,
    /// What is on it, where somebody has looked.
    pub label: Option<String>,
}

/// A drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// `sda`.
    pub name: String,
    /// Its number.
    pub number: Number,
    /// `/dev/sda`.
    pub path: PathBuf,
    /// Bytes; 0 is a reader without a card.
    pub size: u64,
    /// How it is connected.
    pub bus: Bus,
    /// Who made it, and what they call it; may be empty.
    pub model: String,
    /// What tells it from others of its model.
    pub serial: Option<String>,
    /// Counts the media that were in any drive since the machine was started; kernels before 5.15 do not.
    pub media: Option<u64>,
    /// The file behind a loop device.
    pub backing: Option<PathBuf>,
    /// What is behind a loop device is another drive or a part of it, of this name.
    pub over: Option<String>,
    /// The kernel says that its medium may be taken out.
    pub is_removable: bool,
    /// It refuses to be written.
    pub is_read_only: bool,
    /// Where its file systems are mounted, also those of what it is a part of.
    pub mounts: Vec<PathBuf>,
    /// The system swaps to it.
    pub is_swap: bool,
    /// Drives that are made of it, by their names.
    pub holders: Vec<String>,
    /// What is on it, where that is no table: the label of a file system, or which kind of one it is.
    pub label: Option<String>,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

impl Drive {
    /// Whether it is one that a person knows of: not memory, not a loop that holds nothing, not what is made of other drives.
    #[must_use]
    pub fn is_worth_a_line(&self) -> bool {
        match self.bus {
            Bus::Virtual => false,
            Bus::Loop => self.size > 0,
            // Flash without a controller, which is written by other means, and network drives that are not connected.
            Bus::Inside => {
                let is_raw = ["mtdblock", "ubiblock"];
                !is_raw.iter().any(|start| self.name.starts_with(start))
                    && (self.size > 0 || !self.name.starts_with("nbd"))
            }
            _ => true,
        }
    }
}

/// Lists the drives, by their names.
///
/// # Errors
/// `/sys/block` cannot be read, or what the system uses. What else cannot be read of one drive is not told of it.
pub fn drives(roots: &Roots) -> std::io::Result<Vec<Drive>> {
    let mut nodes = Vec::new();
    for entry in fs::read_dir(roots.sys.join("block"))? {
        let Ok(entry) = entry else { continue };
        if let Ok(name) = entry.file_name().into_string()
            && let Some(node) = drive(roots, &name, &entry.path())
        {
            nodes.push(node);
        }
    }
    nodes.sort_by(|a, b| a.drive.name.cmp(&b.drive.name));
    // The kernel does not tell what a loop device stands on as it does of all others.
    let over: Vec<Option<String>> = nodes.iter().map(|node| over(roots, &nodes, node)).collect();
    for (node, over) in nodes.iter_mut().zip(over) {
        node.slaves.extend(over.clone());
        node.drive.over = over;
    }
    let used = used(roots, &nodes)?;
    let mut found = Vec::new();
    for node in &nodes {
        let mut drive = node.drive.clone();
        for (owner, what) in &used {
            match what {
                Used::Mount(point) if *owner == drive.name => drive.mounts.push(point.clone()),
                Used::Swap if *owner == drive.name => drive.is_swap = true,
                _ => {}
            }
        }
        drive.mounts.sort();
        drive.mounts.dedup();
        found.push(drive);
    }
    Ok(found)
}

struct Node {
    drive: Drive,
    /// What it is made of.
    slaves: Vec<String>,
}

fn text(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let file = fs::File::open(path).ok()?;
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn word(path: &Path) -> Option<String> {
    let text = text(path)?;
    let trimmed = text.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

fn number(text: &str) -> Option<Number> {
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn drive(roots: &Roots, name: &str, folder: &Path) -> Option<Node> {
    if OTHERS.iter().any(|start| name.starts_with(start)) || is_area(name) {
        return None;
    }
    let number_of = |folder: &Path| number(&text(&folder.join("dev"))?);
    let own = number_of(folder)?;
    let sectors: u64 = word(&folder.join("size"))?.parse().ok()?;
    let flag = |file: &str| word(&folder.join(file)).is_some_and(|word| word != "0");
    let noted = udev(roots, own);
    let mut partitions = Vec::new();
    let mut holders = names(&folder.join("holders"));
    for part in names(folder) {
        let inner = folder.join(&part);
        if part.starts_with(name)
            && inner.join("partition").exists()
            && let Some(number) = number_of(&inner)
        {
            holders.extend(names(&inner.join("holders")));
            partitions.push(Partition {
                label: noted_label(&udev(roots, number)),
                name: part,
                number,
            });
        }
    }
    partitions.sort_by_key(|part| part.number);
    holders.sort();
    holders.dedup();
    let (bus, serial) = bus(folder, name);
    let made = ["device/vendor", "device/model", "device/name"];
    let mut model: Vec<String> = made
        .iter()
        .filter_map(|file| word(&folder.join(file)))
        // Virtual ones have a number there.
        .filter(|word| !word.starts_with("0x"))
        .collect();
    model.dedup();
    let backing = word(&folder.join("loop/backing_file"));
    if model.is_empty() {
        model.extend(backing.clone());
    }
    let serial = value(&noted, "ID_SERIAL_SHORT")
        .or_else(|| word(&folder.join("wwid")))
        .or_else(|| word(&folder.join("device/wwid")))
        .or_else(|| word(&folder.join("device/serial")))
        .or(serial);
    let drive = Drive {
        name: name.to_owned(),
        number: own,
        path: roots.dev.join(name.replace('!', "/")),
        size: sectors.saturating_mul(SECTOR),
        bus,
        model: model.join(" "),
        serial,
        media: word(&folder.join("diskseq")).and_then(|count| count.parse().ok()),
        backing: backing.map(PathBuf::from),
        over: None,
        is_removable: flag("removable"),
        is_read_only: flag("ro"),
        mounts: Vec::new(),
        is_swap: false,
        holders,
        label: noted_label(&noted),
        partitions,
    };
    let slaves = names(&folder.join("slaves"));
    Some(Node { drive, slaves })
}

/// Whether it is an area of a chip from which the machine itself starts, or one with keys: `mmcblk0boot0`, `mmcblk0rpmb`.
fn is_area(name: &str) -> bool {
    let number_and_more = name.strip_prefix("mmcblk").unwrap_or_default();
    !number_and_more.bytes().all(|byte| byte.is_ascii_digit())
}

/// How a drive is connected, by the folders that it stands in, and the serial number of what it is connected by.
fn bus(folder: &Path, name: &str) -> (Bus, Option<String>) {
    if name.starts_with("loop") {
        return (Bus::Loop, None);
    }
    if ["dm-", "md", "zram", "ram"]
        .iter()
        .any(|start| name.starts_with(start))
    {
        return (Bus::Virtual, None);
    }
    if name.starts_with("nvme") {
        return (Bus::Nvme, None);
    }
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let device = fs::canonicalize(real.join("device")).unwrap_or(real);
    let is_below = |what: &str| {
        let mut parts = device.components();
        parts.any(|part| part.as_os_str().to_string_lossy().starts_with(what))
    };
    if is_below("usb") {
        let mut above = device.ancestors().take(ABOVE);
        let serial = above.find_map(|folder| {
            let is_device = folder.join("idVendor").exists();
            word(&folder.join("serial")).filter(|_| is_device)
        });
        return (Bus::Usb, serial);
    }
    if name.starts_with("mmcblk") {
        let is_card = word(&device.join("type")).is_some_and(|kind| kind == "SD");
        return (if is_card { Bus::Card } else { Bus::Chip }, None);
    }
    (Bus::Inside, None)
}

/// What udev has noted of a drive or a partition, as lines.
fn udev(roots: &Roots, (major, minor): Number) -> String {
    let path = roots.run.join(format!("udev/data/b{major}:{minor}"));
    text(&path).unwrap_or_default()
}

fn value(noted: &str, key: &str) -> Option<String> {
    let mut lines = noted.lines().filter_map(|line| line.strip_prefix("E:"));
    let found = lines.find_map(|line| line.split_once('=').filter(|(name, _)| *name == key));
    found
        .map(|(_, value)| value.to_owned())
        .filter(|value| !value.is_empty())
}

fn noted_label(noted: &str) -> Option<String> {
    let keys = ["ID_FS_LABEL", "ID_PART_ENTRY_NAME", "ID_FS_TYPE"];
    keys.iter().find_map(|key| value(noted, key))
}
