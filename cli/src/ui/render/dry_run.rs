//! What `os push --dry-run` says.

use std::io;

use agent_api::os::{ChangeAction, NetworkChange, Preview, ServiceChange, VolumeChange};
use serde_json::{Value, json};

use super::progress::bytes;
use crate::{
    deploy::{APP_ID, DryRun, Image, ImageStep},
    project::Warning,
    ui::{Console, style::neutralise},
};

/// Something in the project that may be wrong.
pub fn warning(console: &Console, warning: &Warning) {
    let text = match &warning.at {
        Some((path, line)) => format!("{}:{line}: {}", path.display(), warning.message),
        None => warning.message.clone(),
    };
    console.warn(&neutralise(&text));
}

/// What would be built, sent, recreated and lost.
pub fn show(console: &Console, device: &str, found: &DryRun) -> io::Result<()> {
    if console.is_json() {
        return console.json(&value(found));
    }
    for image in &found.images {
        console.data(&neutralise(&of_image(image)))?;
    }
    match &found.preview {
        Some(preview) => of_preview(console, preview)?,
        None => console.say(
            "this device cannot tell what it would change; one with the reference's agent makes a volume anew, without its data, \
             where its configuration changed",
        ),
    }
    let sent: u64 = found.images.iter().map(sent).sum();
    console.say(&format!(
        "{} would be sent to {}; nothing was changed",
        bytes(sent),
        neutralise(device)
    ));
    Ok(())
}

/// Bytes that would travel from here to the device.
fn sent(image: &Image) -> u64 {
    match image.step {
        ImageStep::Build { bytes, .. } => bytes,
        ImageStep::Pull(_) | ImageStep::Keep => 0,
    }
}

fn of_image(image: &Image) -> String {
    let service = &image.service;
    match &image.step {
        ImageStep::Build { files, bytes: size } => {
            format!("{service}: build from {files} files, {}", bytes(*size))
        }
        ImageStep::Pull(name) => format!("{service}: the device fetches {name}"),
        ImageStep::Keep => format!("{service}: its image is on the device"),
    }
}

fn of_preview(console: &Console, preview: &Preview) -> io::Result<()> {
    for service in &preview.services {
        console.data(&neutralise(&of_service(service)))?;
    }
    for volume in &preview.volumes {
        console.data(&neutralise(&of_volume(volume)))?;
    }
    // An older agent tells of those only whose configuration has changed.
    let told = |name: &str| preview.volumes.iter().any(|volume| volume.name == name);
    for loss in preview.losses.iter().filter(|loss| !told(&loss.name)) {
        console.data(&neutralise(&differs(&loss.name, &loss.because)))?;
    }
    for network in &preview.networks {
        console.data(&neutralise(&of_network(network)))?;
    }
    for service in &preview.locked {
        let text = format!(
            "{service} holds its update lock: nothing is disturbed before it lets go, or with --force"
        );
        console.data(&neutralise(&text))?;
    }
    for reason in &preview.rejected {
        console.data(&neutralise(&format!(
            "the device would refuse this release: {reason}"
        )))?;
    }
    for warning in &preview.warnings {
        console.warn(&neutralise(warning));
    }
    Ok(())
}

fn of_service(service: &ServiceChange) -> String {
    let name = &service.name;
    let because = service.because.join(", ");
    match service.action {
        ChangeAction::Keep => format!("{name}: its container stays"),
        ChangeAction::Create => format!("{name}: gets a container"),
        ChangeAction::Recreate => format!("{name}: gets another container because of {because}"),
        ChangeAction::Remove => format!("{name}: its container is removed"),
        ChangeAction::Start => format!("{name}: is started"),
        ChangeAction::Stop => format!("{name}: is stopped"),
        ChangeAction::Rename => format!("{name}: its container goes on under another name"),
        ChangeAction::Unknown => unknown(name),
    }
}

/// A volume that keeps a configuration which is not the project's.
fn differs(name: &str, because: &str) -> String {
    format!(
        "volume {name}: {because}; it stays as it is, unless --discard-volume {name} lets its data go"
    )
}

fn of_volume(volume: &VolumeChange) -> String {
    let name = &volume.name;
    let why = volume.because.as_deref().unwrap_or("that was asked for");
    match (volume.action, &volume.because) {
        (ChangeAction::Keep, _) if !volume.wanted => format!(
            "volume {name}: the project does not name it; it stays on the device with its data"
        ),
        // Only the project's own are in the hands of who pushes.
        (ChangeAction::Keep, Some(because)) if volume.app_id != APP_ID => {
            format!("volume {name} of the fleet: {because}; it stays as it is")
        }
        (ChangeAction::Keep, Some(because)) => differs(name, because),
        (ChangeAction::Keep, None) => format!("volume {name}: stays with its data"),
        (ChangeAction::Create, _) => format!("volume {name}: is made, empty"),
        (ChangeAction::Recreate, _) => {
            format!("volume {name}: all its data is LOST, and it is made anew, empty: {why}")
        }
        (ChangeAction::Remove, _) => {
            format!("volume {name}: is removed, all its data is LOST: {why}")
        }
        (
            ChangeAction::Start | ChangeAction::Stop | ChangeAction::Rename | ChangeAction::Unknown,
            _,
        ) => unknown(&format!("volume {name}")),
    }
}

fn of_network(network: &NetworkChange) -> String {
    let name = &network.name;
    match network.action {
        ChangeAction::Keep => format!("network {name}: stays"),
        ChangeAction::Create => format!("network {name}: is made"),
        ChangeAction::Recreate => {
            let because = match network.because.as_slice() {
                [] => "there is more than one of this name".to_owned(),
                fields => format!("{} changed", fields.join(", ")),
            };
            format!("network {name}: is made anew, and so are the containers in it: {because}")
        }
        ChangeAction::Remove => format!("network {name}: is removed, the project does not name it"),
        ChangeAction::Start | ChangeAction::Stop | ChangeAction::Rename | ChangeAction::Unknown => {
            unknown(&format!("network {name}"))
        }
    }
}

fn unknown(what: &str) -> String {
    format!("{what}: something that this program does not know")
}

fn value(found: &DryRun) -> Value {
    let images: Vec<Value> = found
        .images
        .iter()
        .map(|image| match &image.step {
            ImageStep::Build { files, bytes } => {
                json!({ "service": image.service, "action": "build", "files": files, "bytes": bytes })
            }
            ImageStep::Pull(name) => {
                json!({ "service": image.service, "action": "pull", "image": name })
            }
            ImageStep::Keep => json!({ "service": image.service, "action": "keep" }),
        })
        .collect();
    json!({ "images": images, "changes": found.preview })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_the_data_of_a_volume_is_said() {
        let of_app = |app_id, action, wanted, because: Option<&str>| {
            of_volume(&VolumeChange {
                app_id,
                name: "data".to_owned(),
                action,
                wanted,
                because: because.map(str::to_owned),
            })
        };
        let said = |action, wanted, because| of_app(APP_ID, action, wanted, because);
        let kept = said(ChangeAction::Keep, false, None);
        assert_eq!(
            kept,
            "volume data: the project does not name it; it stays on the device with its data"
        );
        let differs = said(ChangeAction::Keep, true, Some("driver changed"));
        assert!(differs.contains("--discard-volume data"), "{differs}");
        let of_block = of_app(7, ChangeAction::Keep, true, Some("driver changed"));
        assert!(!of_block.contains("--discard-volume"), "{of_block}");
        for action in [ChangeAction::Recreate, ChangeAction::Remove] {
            let lost = said(action, true, Some("is purged"));
            assert!(
                lost.contains("LOST") && lost.ends_with("is purged"),
                "{lost}"
            );
        }
        let new = said(ChangeAction::Create, true, None);
        assert_eq!(new, "volume data: is made, empty");
    }
}
