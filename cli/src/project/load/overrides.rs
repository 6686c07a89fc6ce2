//! `--env [service:]NAME=value`.
//!
//! In: the options as given. Out: variables of services. Read before anything else, so that a slip costs no build.

use crate::project::{ProjectError, ServiceSpec, compose::is_variable_name};

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Override {
    /// Nothing means all services.
    service: Option<String>,
    name: String,
    value: String,
}

/// Reads the options.
pub(super) fn parse(given: &[String]) -> Result<Vec<Override>, ProjectError> {
    given.iter().map(|given| one(given)).collect()
}

fn one(given: &str) -> Result<Override, ProjectError> {
    let (left, value) = given
        .split_once('=')
        .ok_or_else(|| refuse(given, "there is no = in it"))?;
    let (service, name) = match left.split_once(':') {
        Some((service, name)) => (Some(service.to_owned()), name),
        None => (None, left),
    };
    if service.as_deref() == Some("") {
        return Err(refuse(left, "the service before the colon is missing"));
    }
    if !is_variable_name(name) {
        return Err(refuse(
            left,
            "a variable is named in letters, digits and _, without a digit in front",
        ));
    }
    if value.contains('\0') {
        return Err(refuse(left, "the value contains a NUL character"));
    }
    Ok(Override {
        service,
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// Gives the variables to the services; an option for one service counts more than one for all.
pub(super) fn apply(
    overrides: &[Override],
    services: &mut [ServiceSpec],
) -> Result<(), ProjectError> {
    let (one, all): (Vec<_>, Vec<_>) = overrides.iter().partition(|given| given.service.is_some());
    for given in all {
        for service in services.iter_mut() {
            service
                .environment
                .insert(given.name.clone(), given.value.clone());
        }
    }
    for given in one {
        let wanted = given.service.as_deref().unwrap_or_default();
        let names: Vec<_> = services
            .iter()
            .map(|service| service.name.clone())
            .collect();
        let Some(service) = services.iter_mut().find(|service| service.name == wanted) else {
            let shown = format!("{wanted}:{}", given.name);
            return Err(refuse(
                &shown,
                &format!(
                    "there is no service {wanted}; there is {}",
                    names.join(", ")
                ),
            ));
        };
        service
            .environment
            .insert(given.name.clone(), given.value.clone());
    }
    Ok(())
}

fn refuse(given: &str, why: &str) -> ProjectError {
    ProjectError::Env {
        given: given.to_owned(),
        why: why.to_owned(),
    }
}
