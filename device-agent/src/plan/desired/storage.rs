//! Volumes and binds.

use std::collections::BTreeSet;

use agent_api::compose::mounts::clean;

use super::Context;
use super::features::Features;
use crate::model::{ImageFacts, Mount, MountSource, names};
use crate::target::compose::{Composition, VolumeUse};

/// Takes out, with a warning, what a service would mount where a label mounts something of the device: the engine refuses
/// two mounts at one place.
pub(super) fn settled(
    mut wish: Composition,
    taken: &BTreeSet<String>,
    warnings: &mut Vec<String>,
) -> Composition {
    let mut is_free = |path: String| {
        let is_free = !taken.contains(&path);
        if !is_free {
            warnings.push(format!(
                "what the service mounts at {path} is left out: a label mounts something of the device there"
            ));
        }
        is_free
    };
    wish.volumes
        .retain(|volume| volume.mount_point().is_none_or(&mut is_free));
    wish.tmpfs
        .retain(|mount| is_free(clean(mount.split(':').next().unwrap_or_default())));
    wish
}

/// Binds and volumes in the short form.
pub(super) fn volumes(
    context: Context<'_>,
    service: &str,
    wish: &Composition,
    image: &ImageFacts,
    features: &Features,
) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = image.volumes.iter().cloned().collect();
    for volume in &wish.volumes {
        match volume {
            VolumeUse::Anonymous { target } => {
                out.insert(target.clone());
            }
            VolumeUse::Named { name, target } => {
                out.insert(format!("{}:{target}", engine_name(context, name)));
            }
            VolumeUse::Bound { source, target } => {
                out.insert(format!("{source}:{target}"));
            }
            VolumeUse::Mounted { .. } | VolumeUse::Tmpfs { .. } | VolumeUse::BoundMount { .. } => {}
        }
    }
    let directory = format!(
        "{}/{}/{service}",
        context.device.services_dir, context.app.id
    );
    out.extend(["/tmp/resin", "/tmp/balena"].map(|target| format!("{directory}:{target}")));
    let binds = features.on.iter().flat_map(|feature| feature.binds());
    out.extend(binds.map(|bind| (*bind).to_owned()));
    out
}

/// Mounts in the long form.
pub(super) fn mounts(
    context: Context<'_>,
    wish: &Composition,
    features: &Features,
) -> BTreeSet<Mount> {
    let of_features = features
        .on
        .iter()
        .flat_map(|feature| feature.mounts(context.device));
    let of_service = wish
        .volumes
        .iter()
        .filter_map(|volume| mount(context, volume));
    of_service.chain(of_features).collect()
}

fn mount(context: Context<'_>, volume: &VolumeUse) -> Option<Mount> {
    let (target, read_only, source) = match volume {
        VolumeUse::Mounted {
            name,
            target,
            read_only,
            no_copy,
        } => {
            let name = name.as_ref().map(|name| engine_name(context, name));
            let source = MountSource::Volume {
                name: name.unwrap_or_default(),
                no_copy: *no_copy,
            };
            (target, read_only, source)
        }
        VolumeUse::Tmpfs {
            target,
            read_only,
            size,
        } => (target, read_only, MountSource::Tmpfs { size: *size }),
        VolumeUse::BoundMount {
            source,
            target,
            read_only,
            propagation,
        } => {
            let source = MountSource::Bind {
                source: source.clone(),
                propagation: propagation.clone(),
            };
            (target, read_only, source)
        }
        VolumeUse::Anonymous { .. } | VolumeUse::Named { .. } | VolumeUse::Bound { .. } => {
            return None;
        }
    };
    Some(Mount {
        target: target.clone(),
        read_only: *read_only,
        source,
    })
}

fn engine_name(context: Context<'_>, name: &str) -> String {
    names::volume(context.app.id, name, context.device.confinement.as_ref())
}
