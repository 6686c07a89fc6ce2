//! What is said of a fleet's release.

use std::{collections::BTreeMap, io, path::Path};

use serde_json::{Value, json};

use super::progress::bytes;
use crate::{
    cloud::{
        Guest,
        releases::{Fleet, Release, ReleaseState},
    },
    ui::{
        Console,
        style::{neutralise, shown},
    },
};

/// Which cloud is asked, and with what; whether that is a token whose cloud nobody has named.
pub fn asked(console: &Console, guest: &Guest, is_unnamed: bool) {
    let cloud = &guest.domain;
    if is_unnamed {
        return console.say(&format!(
            "asking the cloud {cloud} with the token that balena-cli keeps"
        ));
    }
    let who = if guest.has_token() {
        ""
    } else {
        " without a token"
    };
    console.detail(&format!("asking the cloud {cloud}{who}"));
}

/// Which release it is.
pub fn found(console: &Console, fleet: &Fleet, release: &Release) {
    let (slug, name) = (neutralise(&fleet.slug), release.name());
    let name = neutralise(&name);
    console.say(&format!("{slug}: the release {name}"));
    if release.is_invalidated {
        console.warn(&format!("the release {name} was called invalid"));
    }
    if release.is_draft {
        console.warn(&format!("the release {name} is a draft"));
    }
}

/// The image's devices would run the release, and stay by themselves.
pub fn alone(console: &Console, image: &Path) {
    console.warn(&format!(
        "{} is configured for no fleet: its devices run the release, and hear of no other one",
        shown(image)
    ));
}

/// A release, for programs.
#[must_use]
pub fn json(fleet: &Fleet, release: &Release) -> Value {
    json!({
        "fleet": fleet.slug, "fleet_uuid": fleet.uuid, "commit": release.commit, "version": release.version,
        "draft": release.is_draft, "invalidated": release.is_invalidated,
    })
}

/// What would be preloaded.
pub fn planned(
    console: &Console,
    image: &Path,
    (fleet, release): (&Fleet, &Release),
    (state, sizes): (&ReleaseState, &BTreeMap<u64, u64>),
) -> io::Result<()> {
    let size = |id: Option<u64>| sizes.get(&id?).copied();
    if console.is_json() {
        let services: Vec<Value> = state
            .services
            .iter()
            .map(|service| {
                json!({"name": service.name, "image": service.image.reference, "bytes": size(service.image_id)})
            })
            .collect();
        return console.json(&json!({
            "image": image.display().to_string(), "release": json(fleet, release), "services": services,
        }));
    }
    for service in &state.services {
        let size = size(service.image_id).map_or_else(|| "of unknown size".to_owned(), bytes);
        console.data(&format!(
            "{}  {}  {size}",
            neutralise(&service.name),
            neutralise(&service.image.reference)
        ))?;
    }
    console.say(&format!("nothing was done to {}", shown(image)));
    Ok(())
}
