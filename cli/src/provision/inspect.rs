//! What is on an image: its layout, its system, its configuration.
//!
//! In: an image that is open. Out: [`Inspection`]. Of a packed image, nothing is unpacked that is not asked for: the boot partition, and
//! the root only where the boot partition does not tell which system it is.

use serde_json::Value;

use super::{
    config::{self, ConfigError, Document},
    network::FOLDER,
    wishes::CONFIG,
};
use crate::{
    cause::chain,
    image::{
        Disk, DiskError,
        boot::By,
        container::Length,
        ext4, fat,
        table::{Kind, Partition, Table},
    },
    preload,
};

/// Bytes of a small file that says what a system or a board is.
const MOST_BYTES: u64 = 64 * 1024;
/// Where a system's version is, on the boot partition and on the root.
const RELEASE: &str = "os-release";
const ROOT_RELEASE: &str = "/etc/os-release";
/// Bytes of what says on the data partition what an image brings along.
const MOST_APPS: u64 = 10_000_000;
/// What our system is called, and what is on its root.
const OURS: &str = "os";
const AGENT: &str = "/usr/bin/os-agent";
/// What the root is called.
const ROOTS: [&str; 3] = ["resin-rootA", "flash-rootA", "balena-rootA"];

/// What is on an image.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// How long it is unpacked; why nobody can unpack it to its end.
    pub length: Result<Length, String>,
    /// Which kind of table it has.
    pub table: Kind,
    /// Whether it has logical partitions that were not looked for.
    pub has_more: bool,
    /// Its parts.
    pub partitions: Vec<Named>,
    /// Its boot partition, if it has one.
    pub boot: Option<Booted>,
    /// Which system it is.
    pub system: Option<System>,
    /// What device-type.json says: type and architecture.
    pub device: Option<Device>,
    /// Its config.json, secrets hidden; what is wrong with it where it is none.
    pub config: Option<Result<Value, ConfigError>>,
    /// Values in it that devices will not take.
    pub wrong: Vec<ConfigError>,
    /// Names of its connections.
    pub connections: Vec<String>,
    /// Services that it brings along; a packed image is not unpacked for them.
    pub preloaded: Vec<String>,
}

/// What is booted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    /// The partition's number; 0 for all of the image.
    pub partition: u32,
    /// How it was found.
    pub by: By,
    /// The kind of its file system.
    pub file_system: fat::Kind,
    /// Bytes for files there, and how many of them are free.
    pub room: (u64, u64),
    /// Whether no change of it was cut; what is wrong with it otherwise.
    pub is_closed: Result<bool, String>,
}

/// A partition, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Where it is.
    pub partition: Partition,
    /// By the table or by its file system.
    pub name: Option<String>,
}

/// Which system it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// For which board it was built.
    pub slug: Option<String>,
    /// Whether that stands on the root, and not on the boot partition.
    pub is_of_root: bool,
}

/// Which board it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its type.
    pub slug: String,
    /// Its processor.
    pub arch: Option<String>,
}

/// Looks.
///
/// # Errors
/// [`DiskError`].
pub fn inspect(disk: &Disk) -> Result<Inspection, DiskError> {
    let table = disk.table()?;
    let mut found = Inspection {
        length: disk.length().map_err(|error| chain(&error)),
        table: table.kind,
        has_more: table.has_more,
        partitions: Vec::new(),
        boot: None,
        system: None,
        device: None,
        config: None,
        wrong: Vec::new(),
        connections: Vec::new(),
        preloaded: Vec::new(),
    };
    if let Some(boot) = disk.boot() {
        let volume = disk.volume()?;
        found.boot = Some(Booted {
            partition: boot.partition.number,
            by: boot.by.clone(),
            file_system: volume.kind(),
            room: volume.room().map_err(|error| disk.fat(error))?,
            is_closed: volume.is_closed().map_err(|error| chain(&error)),
        });
        let config = disk.read(CONFIG, config::MOST_BYTES)?;
        let config = config.map(|bytes| Document::read(&bytes));
        if let Some(Ok(document)) = &config {
            found.wrong = document.wrong();
        }
        found.config = config.map(|config| Ok(config?.without_secrets()));
        found.device = device(disk)?;
        found.connections = connections(disk)?;
    }
    found.system = system(disk, &table)?;
    found.preloaded = preloaded(disk, &table);
    found.partitions = partitions(disk, table);
    // What was not found for want of room is not unknown.
    disk.had_room()?;
    Ok(found)
}

/// Services that stand in the apps.json of the data partition. One that cannot be read brings none.
fn preloaded(disk: &Disk, table: &Table) -> Vec<String> {
    if disk.unpacked().is_some() {
        return Vec::new();
    }
    let data = preload::find(disk.medium().as_ref(), table);
    let apps = format!("/{}", preload::APPS);
    let text =
        data.and_then(|data| ext4::read(disk.medium(), &data.partition, &apps, MOST_APPS).ok()?);
    text.map(|text| services(&text)).unwrap_or_default()
}

/// Names of services in either form of apps.json: under their names in releases, or under their ids in applications.
fn services(text: &[u8]) -> Vec<String> {
    let read: Value = serde_json::from_slice(text).unwrap_or_default();
    let members = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let mut names = Vec::new();
    for (_, app) in members(read.get("apps")).into_iter().flatten() {
        for (_, release) in members(app.get("releases")).into_iter().flatten() {
            let services = members(release.get("services"));
            names.extend(services.into_iter().flatten().map(|(name, _)| name));
        }
        for (_, service) in members(app.get("services")).into_iter().flatten() {
            let name = service.get("serviceName").and_then(Value::as_str);
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

/// The board that an image is for, by its device-type.json.
///
/// # Errors
/// [`DiskError`].
pub fn device(disk: &Disk) -> Result<Option<Device>, DiskError> {
    let bytes = disk.read("device-type.json", 1024 * 1024)?;
    let value: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let text = |key: &str| {
        let found = value.as_ref()?.get(key)?.as_str()?;
        Some(found.to_owned())
    };
    let arch = text("arch");
    Ok(text("slug").map(|slug| Device { slug, arch }))
}

/// Whether a device of an image would take what was preloaded into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taker {
    /// It has our agent.
    Ours,
    /// It has another system, of this name, whose agent is not known to.
    Other(String),
    /// Nothing says which system it has.
    Unknown,
}

/// Who takes what is preloaded into an image.
///
/// # Errors
/// [`DiskError`].
pub fn taker(disk: &Disk) -> Result<Taker, DiskError> {
    let table = disk.table()?;
    let system = system(disk, &table)?;
    let medium = disk.medium();
    let has_agent = |part: &Partition| ext4::has(medium, part, AGENT).unwrap_or_default();
    let name = system.and_then(|system| system.name);
    Ok(match name {
        Some(name) if name == OURS => Taker::Ours,
        _ if table.partitions.iter().any(has_agent) => Taker::Ours,
        Some(name) => Taker::Other(name),
        None => Taker::Unknown,
    })
}

/// Whose devices those of an image become, by its config.json. One that cannot be understood says nothing.
///
/// # Errors
/// [`DiskError`].
pub fn joined(disk: &Disk) -> Result<preload::Joined, DiskError> {
    let bytes = disk.read(CONFIG, config::MOST_BYTES)?;
    let document = bytes.and_then(|bytes| Document::read(&bytes).ok());
    Ok(document.as_ref().map(of_fleet).unwrap_or_default())
}

fn of_fleet(config: &Document) -> preload::Joined {
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let api = config.get("apiEndpoint").and_then(Value::as_str);
    preload::Joined {
        fleet: config.get("applicationId").and_then(number),
        api: api.filter(|api| !api.is_empty()).map(str::to_owned),
    }
}

fn connections(disk: &Disk) -> Result<Vec<String>, DiskError> {
    let entries = match disk.list(FOLDER) {
        Err(DiskError::Fat {
            source: fat::FatError::NotFound { .. },
            ..
        }) => return Ok(Vec::new()),
        entries => entries?,
    };
    let files = entries.into_iter().filter(|entry| !entry.is_folder);
    let names = files.map(|entry| entry.name);
    Ok(names.filter(|name| !name.ends_with(".ignore")).collect())
}

/// Names of a table count; those of file systems are looked for only where that unpacks nothing more.
fn partitions(disk: &Disk, table: Table) -> Vec<Named> {
    let medium = disk.medium();
    let named = |partition: Partition| {
        let is_near = disk
            .unpacked()
            .is_none_or(|unpacked| partition.start.saturating_add(4096) <= unpacked);
        let own = partition.name.clone().filter(|name| !name.is_empty());
        let label = || {
            let part = partition.part(medium.as_ref());
            let fat = fat::Volume::open(part)
                .ok()
                .and_then(|volume| volume.label().ok()?);
            fat.or_else(|| ext4::label(medium.as_ref(), &partition))
        };
        let name = own.or_else(|| is_near.then(label)?);
        Named { partition, name }
    };
    table.partitions.into_iter().map(named).collect()
}

fn system(disk: &Disk, table: &Table) -> Result<Option<System>, DiskError> {
    let release_there = match disk.boot() {
        Some(_) => disk.read(RELEASE, MOST_BYTES)?,
        None => None,
    };
    if let Some(bytes) = release_there {
        let system = release(&bytes, false);
        if system.version.is_some() {
            return Ok(Some(system));
        }
    }
    let medium = disk.medium();
    let is_root = |partition: &&Partition| {
        let name = partition.name.clone().filter(|name| !name.is_empty());
        let name = name.or_else(|| ext4::label(medium.as_ref(), partition));
        name.is_some_and(|name| ROOTS.contains(&name.as_str()))
    };
    // Where the root cannot be read, its version is not known; all else is.
    let root = table.partitions.iter().find(is_root);
    let bytes = root.and_then(|root| ext4::read(medium, root, ROOT_RELEASE, MOST_BYTES).ok()?);
    Ok(bytes.map(|bytes| release(&bytes, true)))
}

/// Reads os-release(5).
fn release(bytes: &[u8], is_of_root: bool) -> System {
    let text = String::from_utf8_lossy(bytes);
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(name, _)| *name == key)?;
        let value = shlex::split(value)?.concat();
        Some(value).filter(|value| !value.is_empty())
    };
    System {
        name: value("NAME"),
        version: value("VERSION_ID").or_else(|| value("VERSION")),
        slug: value("SLUG"),
        is_of_root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_in_either_form() {
        let newer = r#"{"apps":{"ab":{"releases":{"c0":{"services":{"web":{},"api":{}}}}}}}"#;
        let older = r#"{"apps":{"1":{"services":{"1":{"serviceName":"web"},"2":{}}}}}"#;
        for (text, names) in [
            (newer, &["web", "api"][..]),
            (older, &["web"]),
            ("{}", &[]),
            ("[", &[]),
            (r#"{"apps":[1]}"#, &[]),
        ] {
            let mut found = services(text.as_bytes());
            found.sort_by_key(|name| names.iter().position(|other| other == name));
            assert_eq!(found, names, "{text}");
        }
    }

    #[test]
    fn an_image_says_whose_its_devices_are() {
        let read = |text: &str| {
            let joined = of_fleet(&Document::read(text.as_bytes()).unwrap());
            (joined.fleet, joined.api)
        };
        let api = Some("https://api.cloud.test".to_owned());
        for (number, fleet) in [("12", Some(12)), ("\"12\"", Some(12)), ("null", None)] {
            let text =
                format!(r#"{{"applicationId":{number},"apiEndpoint":"https://api.cloud.test"}}"#);
            assert_eq!(read(&text), (fleet, api.clone()));
        }
        assert_eq!(read(r#"{"apiEndpoint":""}"#), (None, None));
    }

    #[test]
    fn a_release_is_read_with_and_without_quotes() {
        let text = "# note\nNAME=\"balenaOS\"\nVERSION='7.3.1+rev1'\nSLUG=raspberrypi4-64\nPRETTY_NAME=\"a \\\"b\\\"\"\nodd\n";
        let system = release(text.as_bytes(), true);
        let expected = System {
            name: Some("balenaOS".to_owned()),
            version: Some("7.3.1+rev1".to_owned()),
            slug: Some("raspberrypi4-64".to_owned()),
            is_of_root: true,
        };
        assert_eq!(system, expected);
        assert_eq!(release(b"\xFF\n=\n", false), System::default());
    }
}
