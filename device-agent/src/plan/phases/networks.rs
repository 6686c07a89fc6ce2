//! Networks that must go: those that are made anew, and those that nobody wants.

use crate::model::{ObservedNetwork, Step};
use crate::plan::found::Found;
use crate::plan::survey::Survey;

/// Networks that are not as they should be, when nothing stands in them any more. Creating them anew is another round.
pub(super) fn changed(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for network in survey.networks().filter(|network| network.must_go()) {
        // One of several equal ones may stay.
        let kept = usize::from(network.differences.is_empty());
        for extra in network.found.iter().skip(kept) {
            if is_free(survey, extra) {
                found.offer_for(survey, extra.app(), remove(extra));
            }
        }
    }
    found
}

/// Networks that nobody wants, when nothing stands in them any more.
pub(super) fn unwanted(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for network in nobodys(survey).filter(|network| is_free(survey, network)) {
        found.offer_for(survey, network.app(), remove(network));
    }
    found
}

/// Networks that are in no application of the target. Those of a rejected release stay as they are.
pub(in crate::plan) fn nobodys<'s>(
    survey: &'s Survey<'_>,
) -> impl Iterator<Item = &'s ObservedNetwork> {
    survey.observed.networks.iter().filter(|network| {
        let wanted = survey.networks().any(|n| n.wanted.name == network.name);
        let mut rejected = survey.rejected.iter();
        !wanted && !rejected.any(|(app, _)| app.id == network.app_id)
    })
}

/// Whether no container of its application stands in it, not even one on its way out; what else does is the engine's to
/// refuse.
fn is_free(survey: &Survey<'_>, network: &ObservedNetwork) -> bool {
    !survey.observed.containers.iter().any(|container| {
        (network.app_id == 0 || container.app_id == network.app_id)
            && container.config.networks.contains_key(&network.name)
    })
}

fn remove(network: &ObservedNetwork) -> Step {
    Step::RemoveNetwork {
        id: network.id.clone(),
        logical_name: network.logical_name.clone(),
    }
}
