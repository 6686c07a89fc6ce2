//! What `os ps` says.

use std::io;

use agent_api::{
    os::{ApplyState, ImageReport, LayerReport, Report, ServiceReport},
    reference::StateStatus,
};
use serde_json::json;

use super::{progress::bytes, remarks};
use crate::ui::{Console, style::neutralise, table};

/// The services of a device with our agent, one a line.
pub fn report(console: &Console, report: &Report) -> io::Result<()> {
    if console.is_json() {
        return report
            .services
            .iter()
            .try_for_each(|service| console.json(service));
    }
    if report.services.is_empty() {
        console.say("the device runs no service");
    } else {
        let head = ["SERVICE", "STATUS", "CREATED", "PORTS", "BECAUSE"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(report.services.iter().map(row));
        for line in table::align(&rows) {
            console.data(line.trim_end())?;
        }
    }
    for service in &report.services {
        for text in notes(service) {
            console.say(&neutralise(&format!("{}: {text}", service.name)));
        }
    }
    for text in report.images.iter().filter_map(fetched) {
        console.say(&neutralise(&text));
    }
    match (report.state, &report.waiting) {
        (ApplyState::Applying, None) => console.say("the device is still at work"),
        (ApplyState::Applying | ApplyState::Failing, Some(waiting)) => {
            // What one service waits for stands beside it.
            let told = |service: &ServiceReport| service.waiting.as_deref() == Some(waiting);
            if !report.services.iter().any(told) {
                console.say(&neutralise(&format!("the device waits: {waiting}")));
            }
        }
        _ => {}
    }
    if report.state == ApplyState::Applied {
        remarks::show(console, "the device", &report.faults, false);
    } else {
        for fault in &report.faults {
            console.warn(&neutralise(fault));
        }
    }
    Ok(())
}

fn row(service: &ServiceReport) -> Vec<String> {
    let status = match service.exit_code {
        Some(code) => format!("{} ({code})", service.status),
        None => service.status.clone(),
    };
    let cells = [
        service.name.as_str(),
        &status,
        service.created_at.as_deref().unwrap_or("-"),
        &service.ports.join(" "),
        service.because.as_deref().unwrap_or(""),
    ];
    cells.map(|cell| neutralise(cell).into_owned()).to_vec()
}

/// What does not fit into a table.
fn notes(service: &ServiceReport) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(error) = &service.error {
        notes.push(format!("failed: {error}"));
    }
    if let Some(waiting) = &service.waiting {
        notes.push(waiting.clone());
    } else if service.locked {
        notes.push("holds its update lock".to_owned());
    }
    notes
}

/// How far an image is that is being fetched.
fn fetched(image: &ImageReport) -> Option<String> {
    let sum = |part: fn(&LayerReport) -> u64| {
        let parts = image.layers.iter().map(part);
        parts.fold(0, u64::saturating_add)
    };
    let (here, all) = (sum(|layer| layer.current), sum(|layer| layer.total));
    let whole = image.layers.iter();
    let whole = whole.filter(|layer| layer.current == layer.total).count();
    (all > 0).then(|| {
        format!(
            "{}: {} of {} of its image are here, {whole} of {} layers whole",
            image.service_name,
            bytes(here),
            bytes(all),
            image.layers.len()
        )
    })
}

/// The services of a reference device, which tells less.
pub fn status(console: &Console, status: &StateStatus) -> io::Result<()> {
    if console.is_json() {
        return status.containers.iter().try_for_each(|container| {
            console.json(&json!({
                "app_id": container.app_id,
                "name": container.service_name,
                "status": container.status,
                "container_id": container.container_id,
                "created_at": container.created_at,
            }))
        });
    }
    if status.containers.is_empty() {
        console.say("the device runs no service");
        return Ok(());
    }
    let head = ["SERVICE", "STATUS", "CREATED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(status.containers.iter().map(|container| {
        [
            container.service_name.as_str(),
            &container.status,
            &container.created_at,
        ]
        .map(|cell| neutralise(cell).into_owned())
        .to_vec()
    }));
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_being_fetched_is_told_by_its_layers() {
        let image = |layers: &[(u64, u64)]| ImageReport {
            name: "registry2.example.com/v2/web:latest".to_owned(),
            app_id: 1,
            service_name: "web".to_owned(),
            image_id: 1,
            engine_id: None,
            download_progress: None,
            layers: layers
                .iter()
                .map(|&(current, total)| LayerReport {
                    id: format!("{total:012x}"),
                    current,
                    total,
                })
                .collect(),
        };
        assert_eq!(fetched(&image(&[])), None);
        assert_eq!(
            fetched(&image(&[(2_000_000, 2_000_000), (500_000, 8_000_000)])).as_deref(),
            Some("web: 2.5 MB of 10 MB of its image are here, 1 of 2 layers whole")
        );
    }
}
