//! Containers that must go before their services get new ones, or for good.
//!
//! Not before every image of the release is on the device: until then the old release keeps running.

use super::remains::kill;
use crate::plan::compare;
use crate::plan::found::Found;
use crate::plan::survey::Survey;

/// See the module.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for app in survey.apps.iter().filter(|app| app.images_ready) {
        for container in &app.leftovers {
            found.offer(
                survey,
                kill(container, "its service is not in the target state"),
            );
        }
        for service in &app.services {
            let Some(container) = service.container else {
                continue;
            };
            if !service.differences.is_empty() {
                let because = compare::because(&service.differences);
                found.offer(survey, kill(container, &because));
            } else if let Some(network) = survey.stands_in_changed_network(container) {
                found.offer(
                    survey,
                    kill(container, &format!("network {network} changed")),
                );
            }
        }
    }
    found
}
