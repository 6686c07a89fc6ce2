//! What `os push --dry-run` says.

use std::io;

use agent_api::os::{ChangeAction, Preview, ServiceChange};
use serde_json::{Value, json};

use super::progress::bytes;
use crate::{
    deploy::{DryRun, Image, ImageStep},
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
        None => console.say("this device cannot tell what it would change"),
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
    for loss in &preview.losses {
        let text = format!(
            "volume {}: {}; it stays as it is, unless --discard-volume {} lets its data go",
            loss.name, loss.because, loss.name
        );
        console.data(&neutralise(&text))?;
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
        ChangeAction::Unknown => format!("{name}: something that this program does not know"),
    }
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
