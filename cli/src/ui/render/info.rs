//! What `os info` says.

use std::io;

use agent_api::{
    os::{Disk, Info, Variant},
    reference::DeviceInfo,
};
use serde_json::json;

use super::progress::bytes;
use crate::ui::{Console, style::neutralise, table};

/// A device with our agent.
pub fn ours(console: &Console, info: &Info, disk: Option<&Disk>, endpoint: &str) -> io::Result<()> {
    if console.is_json() {
        return console.json(&json!({ "info": info, "disk": disk, "endpoint": endpoint }));
    }
    let variant = match info.variant {
        Variant::Development => "development",
        Variant::Production => "production",
        Variant::Unknown => "unknown",
    };
    let mode = match (info.managed, info.local_mode) {
        (false, _) => "local, in no fleet",
        (true, true) => "local, beside its fleet",
        (true, false) => "fleet",
    };
    let mut rows = vec![
        ("name", info.name.clone()),
        ("host name", format!("{}.local", info.hostname)),
        ("uuid", info.uuid.clone()),
        ("type", info.device_type.clone()),
        ("architecture", info.arch.clone()),
        ("system", format!("{}, {variant}", info.os_version)),
        ("agent", info.agent_version.clone()),
        ("mode", mode.to_owned()),
        ("reached at", endpoint.to_owned()),
    ];
    match &info.engine {
        Some(engine) => rows.push((
            "engine",
            format!(
                "{} {}, API {}",
                engine.name, engine.version, engine.api_version
            ),
        )),
        None => rows.push(("engine", "cannot be reached".to_owned())),
    }
    if let Some(disk) = disk {
        rows.push(("disk", room(disk)));
    }
    if let Some(confinement) = &info.confinement {
        rows.push(("simulated at", confinement.address.clone()));
    }
    show(console, rows)
}

fn room(disk: &Disk) -> String {
    let mut text = format!("{} of {} free", bytes(disk.free), bytes(disk.total));
    let freed = disk.unused_images.saturating_add(disk.build_cache);
    if freed > 0 {
        let unused = format!(
            "; unused images hold {}, the cache of builds {}",
            bytes(disk.unused_images),
            bytes(disk.build_cache)
        );
        text.push_str(&unused);
    }
    text
}

/// A reference device, which tells less.
pub fn reference(
    console: &Console,
    info: &DeviceInfo,
    version: &str,
    endpoint: &str,
) -> io::Result<()> {
    if console.is_json() {
        let value = json!({ "device_type": info.device_type, "arch": info.arch, "api_version": version, "endpoint": endpoint });
        return console.json(&value);
    }
    show(
        console,
        vec![
            ("type", info.device_type.clone()),
            ("architecture", info.arch.clone()),
            ("device API", version.to_owned()),
            ("reached at", endpoint.to_owned()),
        ],
    )
}

fn show(console: &Console, rows: Vec<(&str, String)>) -> io::Result<()> {
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), neutralise(&value).into_owned()])
        .collect();
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line))
}
