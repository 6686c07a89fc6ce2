//! Volumes, memory mounts and devices.

use std::collections::BTreeSet;

use agent_api::compose::mounts::{is_mount_point, of_tmpfs};
use serde_json::Value;

use super::scalar::{each, flag, pairs, text, text_or_list};
use super::{Composition, Fault, Read, put, put_some, quoted, volumes};

/// Reads one key; `None` when it is of another kind.
pub(super) fn key(key: &str, value: &Value, out: &mut Composition) -> Option<Read<()>> {
    Some(match key {
        "volumes" => put(&mut out.volumes, volumes::read(value, &mut out.warnings)),
        "tmpfs" => put(&mut out.tmpfs, tmpfs(value)),
        "devices" => put(&mut out.devices, devices(value)),
        "read_only" => put_some(&mut out.read_only, flag(value)),
        // Devices' engines refuse a container that asks for it, and the reference has never asked them.
        "storage_opt" => pairs(value).map(|_| {
            let warning = "storage_opt has no effect: devices' engines cannot do it";
            out.warnings.push(warning.to_owned());
        }),
        "shm_size" => super::resources::size(value, "shm_size", &mut out.warnings)
            .map(|size| out.shm_size = size),
        _ => return None,
    })
}

fn tmpfs(value: &Value) -> Read<BTreeSet<String>> {
    let list = text_or_list(value)?;
    match list.iter().find(|mount| !is_mount_point(of_tmpfs(mount))) {
        Some(mount) => Err(Fault::new(format!(
            "{} is no path to mount at",
            quoted(mount)
        ))),
        None => Ok(list.into_iter().collect()),
    }
}

/// `host[:container[:permissions]]`, filled up to all three parts.
fn devices(value: &Value) -> Read<BTreeSet<String>> {
    let devices = each(value, |entry| {
        let device = text(entry)?;
        let mut parts = device.split(':');
        let host = parts.next().unwrap_or_default();
        let inside = parts.next().unwrap_or(host);
        let rights = parts.next().unwrap_or("rwm");
        let is_right = |c| matches!(c, 'r' | 'w' | 'm');
        let fits = host.starts_with('/')
            && inside.starts_with('/')
            && !rights.is_empty()
            && rights.chars().all(is_right)
            && parts.next().is_none();
        if fits {
            Ok(format!("{host}:{inside}:{rights}"))
        } else {
            Err(Fault::new(format!("{} is no device", quoted(&device))))
        }
    })?;
    Ok(devices.into_iter().collect())
}
