//! What a push has to do, and the target state it ends with. Pure: project and device facts in, values out.
//!
//! The target state has the form that devices of the ecosystem understand, key by key in the order of existing clients:
//! services are numbered from 1 in the order of the project's file, and number, image id and service id are the same.

mod preloaded;

use agent_api::{LOCAL_APP_NAME, LOCAL_COMMIT};
use serde_json::{Map, Value, json};

use crate::{
    agent::Kind,
    engine::ImageRef,
    project::{BuildSpec, Project, ServiceSpec, Source},
};

pub use preloaded::preloaded;

/// Id of the one application of local mode.
pub const APP_ID: u32 = 1;

/// What the plan needs to know about a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Device type slug.
    pub device_type: String,
    /// Architecture slug.
    pub arch: String,
    /// The namespace of a simulated device: it shares its engine with others.
    pub namespace: Option<String>,
    /// The tag of images that are not to run where they are made: none of them takes the name of one that does.
    pub tag: Option<String>,
}

/// What has to be done for a project on a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// One entry a service, in the project's order.
    pub services: Vec<ServicePlan>,
    /// The application by its id, as it goes into the target state.
    pub apps: Map<String, Value>,
}

/// What has to be done for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    /// Service name.
    pub name: String,
    /// The name under which the target state finds its image.
    pub image: ImageRef,
    /// Where the image comes from.
    pub source: ImageSource,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// Built in the device's engine.
    Build(BuildSpec),
    /// Taken from the engine if it has it, from its registry otherwise.
    Registry(ImageRef),
}

impl Facts {
    /// From what the device said about itself.
    #[must_use]
    pub fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Ours(info) => Self {
                device_type: info.device_type.clone(),
                arch: info.arch.clone(),
                namespace: info
                    .confinement
                    .as_ref()
                    .map(|confinement| confinement.namespace.clone()),
                tag: None,
            },
            Kind::Reference { info, .. } => Self {
                device_type: info.device_type.clone(),
                arch: info.arch.clone(),
                namespace: None,
                tag: None,
            },
        }
    }
}

/// Plans a push.
#[must_use]
pub fn plan(project: &Project, facts: &Facts) -> Plan {
    let services: Vec<ServicePlan> = project
        .services
        .iter()
        .map(|service| ServicePlan {
            name: service.name.clone(),
            image: image_name(service, facts),
            source: match &service.source {
                Source::Build(build) => ImageSource::Build(labelled(build, facts)),
                Source::Image(reference) => ImageSource::Registry(ImageRef::parse(reference)),
            },
        })
        .collect();
    let by_id: Map<String, Value> = project
        .services
        .iter()
        .zip(&services)
        .zip(1_u32..)
        .map(|((service, plan), id)| (id.to_string(), service_target(service, plan, id)))
        .collect();
    let app = json!({
        "name": LOCAL_APP_NAME,
        "commit": LOCAL_COMMIT,
        "releaseId": "1",
        "services": by_id,
        "volumes": project.volumes,
        "networks": project.networks,
    });
    let apps = Map::from_iter([(APP_ID.to_string(), app)]);
    Plan { services, apps }
}

/// On a simulated device every image carries the device's label, so that also those that lost their name can be removed with it.
fn labelled(build: &BuildSpec, facts: &Facts) -> BuildSpec {
    let mut build = build.clone();
    if let Some(namespace) = &facts.namespace {
        build
            .labels
            .insert(agent_api::SIMULATED_LABEL.to_owned(), namespace.clone());
    }
    build
}

/// The name under which a service's image is known on the device. On a simulated device the namespace is the tag, and names
/// that the project chose are not used: the engine is the workstation's own. Nor are they with a tag of [`Facts::tag`].
#[must_use]
pub fn image_name(service: &ServiceSpec, facts: &Facts) -> ImageRef {
    let own = facts.tag.as_deref().or(facts.namespace.as_deref());
    if let (None, Source::Build(BuildSpec { tag: Some(tag), .. })) = (own, &service.source) {
        let mut image = ImageRef::parse(tag);
        image.tag.get_or_insert_with(|| "latest".to_owned());
        return image;
    }
    let tag = own.unwrap_or("latest");
    ImageRef {
        repository: format!(
            "local_image_{}",
            service.name.to_lowercase().replace(':', "_")
        ),
        tag: Some(tag.to_owned()),
        digest: None,
    }
}

/// The body that sets a target state. `present` is what a reference device says its own target is: everything in it but the
/// applications must be sent back, or the device loses its name and configuration. Our agent keeps what is not mentioned.
#[must_use]
pub fn target_body(present: Option<&Map<String, Value>>, plan: &Plan) -> Vec<u8> {
    let mut local = present.cloned().unwrap_or_default();
    local.insert("apps".to_owned(), json!(plan.apps));
    json!({ "local": local }).to_string().into_bytes()
}

fn service_target(service: &ServiceSpec, plan: &ServicePlan, id: u32) -> Value {
    let mut target = Map::new();
    target.insert("environment".to_owned(), json!(service.environment));
    target.insert("labels".to_owned(), json!(service.labels));
    for (key, value) in &service.composition {
        target.insert(key.clone(), value.clone());
    }
    if let Some(contract) = &service.contract {
        target.insert("contract".to_owned(), contract.clone());
    }
    target.insert("imageId".to_owned(), json!(id));
    target.insert("serviceName".to_owned(), json!(service.name));
    target.insert("serviceId".to_owned(), json!(id));
    target.insert("image".to_owned(), json!(plan.image.to_string()));
    target.insert("running".to_owned(), json!(true));
    Value::Object(target)
}

#[cfg(test)]
mod tests;
