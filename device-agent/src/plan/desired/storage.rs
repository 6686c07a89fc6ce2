//! Volumes and binds.

use std::collections::BTreeSet;

use super::Context;
use super::features::{Feature, Features};
use crate::model::{ImageFacts, Mount, MountSource, names};
use crate::target::compose::{Composition, VolumeUse};

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
            VolumeUse::Mounted { .. } | VolumeUse::Tmpfs { .. } => {}
        }
    }
    let directory = format!(
        "{}/{}/{service}",
        context.device.services_dir, context.app.id
    );
    out.extend(["/tmp/resin", "/tmp/balena"].map(|target| format!("{directory}:{target}")));
    out.extend(
        features
            .on
            .iter()
            .filter_map(|feature| Feature::bind(*feature))
            .map(str::to_owned),
    );
    out
}

/// Mounts in the long form.
pub(super) fn mounts(context: Context<'_>, wish: &Composition) -> BTreeSet<Mount> {
    let mount = |volume: &VolumeUse| match volume {
        VolumeUse::Mounted {
            name,
            target,
            read_only,
            no_copy,
        } => Some(Mount {
            target: target.clone(),
            read_only: *read_only,
            source: MountSource::Volume {
                name: name
                    .as_ref()
                    .map(|name| engine_name(context, name))
                    .unwrap_or_default(),
                no_copy: *no_copy,
            },
        }),
        VolumeUse::Tmpfs { target, size } => Some(Mount {
            target: target.clone(),
            read_only: false,
            source: MountSource::Tmpfs { size: *size },
        }),
        VolumeUse::Anonymous { .. } | VolumeUse::Named { .. } => None,
    };
    wish.volumes.iter().filter_map(mount).collect()
}

fn engine_name(context: Context<'_>, name: &str) -> String {
    names::volume(context.app.id, name, context.device.confinement.as_ref())
}
