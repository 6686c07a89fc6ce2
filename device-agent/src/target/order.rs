//! Which services wait for which.

use std::collections::BTreeMap;

use super::compose;
use crate::model::Service;

/// A circle of services that wait for each other, first name repeated at its end.
pub(super) fn cycle(services: &BTreeMap<String, Service>) -> Option<Vec<String>> {
    let mut waits: BTreeMap<&str, Vec<String>> = services
        .values()
        .map(|service| {
            let (composition, _) = compose::read(&service.composition);
            let known = composition.waits_for();
            let known = known.into_iter().filter(|n| services.contains_key(n));
            (service.name.as_str(), known.collect())
        })
        .collect();
    // Take away what waits for nothing that is left, until only circles and what waits for them remain.
    while let Some(free) = waits
        .iter()
        .find(|(_, on)| !on.iter().any(|name| waits.contains_key(name.as_str())))
        .map(|(name, _)| *name)
    {
        waits.remove(free);
    }
    let mut path: Vec<String> = vec![(*waits.keys().next()?).to_owned()];
    loop {
        let next = waits
            .get(path.last()?.as_str())?
            .iter()
            .find(|name| waits.contains_key(name.as_str()))?
            .clone();
        if let Some(begin) = path.iter().position(|name| *name == next) {
            path.push(next);
            return path.get(begin..).map(<[String]>::to_vec);
        }
        path.push(next);
    }
}
