//! Labels: ours win over the service's, and these over the image's.

use std::collections::BTreeMap;

use super::Context;
use crate::model::{Confinement, ImageFacts, Service, ServiceConfig, labels};

/// All labels of a container but the digest of its configuration.
pub(super) fn of(
    context: Context<'_>,
    service: &Service,
    image: &ImageFacts,
) -> BTreeMap<String, String> {
    let mut out = labels::renamed(&image.labels);
    out.extend(labels::renamed(&service.labels));
    // An image may have been made from a container, labels included.
    out.remove(ServiceConfig::DIGEST_LABEL);
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
