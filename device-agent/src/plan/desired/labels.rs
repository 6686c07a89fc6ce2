//! Labels: ours win over the service's, and these over the image's.

use std::collections::BTreeMap;

use super::Context;
use crate::model::{Confinement, ImageFacts, Service, ServiceConfig, labels};

/// What a service and its image, where that is known, ask for: the service's win.
pub(super) fn asked(service: &Service, image: Option<&ImageFacts>) -> BTreeMap<String, String> {
    let mut out = image
        .map(|image| labels::renamed(&image.labels))
        .unwrap_or_default();
    out.extend(labels::renamed(&service.labels));
    out
}

/// All labels of a container but the digest of its configuration.
pub(super) fn of(
    context: Context<'_>,
    service: &Service,
    image: &ImageFacts,
) -> BTreeMap<String, String> {
    let mut out = asked(service, Some(image));
    // An image may have been made from a container, labels included.
    out.remove(ServiceConfig::DIGEST_LABEL);
    out.remove(ServiceConfig::BECAUSE_LABEL);
    out.remove(ServiceConfig::MAC_LABEL);
    out.remove(Confinement::LABEL);
    let ours = [
        (labels::SUPERVISED, "true".to_owned()),
        (labels::APP_ID, context.app.id.to_string()),
        (labels::SERVICE_ID, service.id.to_string()),
        (labels::SERVICE_NAME, service.name.clone()),
        (labels::APP_UUID, context.app.uuid.clone()),
    ];
    out.extend(ours.map(|(key, value)| (key.to_owned(), value)));
    if let Some(confinement) = &context.device.confinement {
        out.insert(Confinement::LABEL.to_owned(), confinement.namespace.clone());
    }
    out
}
