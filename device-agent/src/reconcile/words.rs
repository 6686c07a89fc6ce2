//! What is told about a target that is held up, in the reference's words and with our reasons. Pure.

use std::collections::BTreeSet;

use crate::locks::LockError;
use crate::model::{Block, DeviceFacts, Ends, Millis, Target};
use crate::plan::contracts::{self, Verdict};
use crate::report::ServiceKey;

/// Reasons that are told of one application; a target may hold thousands.
const MAX_REASONS: usize = 8;

/// A system line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// What of a target is not run because the device lacks what it requires.
pub(super) fn of_contracts(target: &Target, device: &DeviceFacts) -> Vec<Told> {
    let mut told = Vec::new();
    for app in target.apps.values().filter(|app| app.commit.is_some()) {
        let Verdict { dropped, unmet } = contracts::check(app, device);
        // Of a rejected release nothing is run, whatever may be left out of it.
        let (named, is_error) = if unmet.is_empty() {
            (dropped, false)
        } else {
            (unmet, true)
        };
        if named.is_empty() {
            continue;
        }
        let services: Vec<&str> = named.keys().map(String::as_str).collect();
        let text = if is_error {
            format!(
                "Some releases were rejected due to having unmet requirements: {}: Services with unmet requirements: {}",
                app.name,
                services.join(", ")
            )
        } else {
            format!(
                "Not running containers because of contract violations: {}",
                services.join(". ")
            )
        };
        told.push(Told { text, is_error });
        let reasons = named.into_values().flatten().take(MAX_REASONS);
        told.extend(reasons.map(|text| Told { text, is_error }));
    }
    told
}

/// Which services have been said to hold their update locks: it is said once of each, however often it is looked at.
#[derive(Debug, Default)]
pub(super) struct LocksTold(BTreeSet<ServiceKey>);

impl LocksTold {
    /// Lines about locks that hold up a target and were not told yet; the next look is in so many milliseconds.
    pub(super) fn news(&mut self, blocks: &[Block], next: Option<Millis>) -> Vec<String> {
        let locks = blocks.iter().filter(|block| block.ends == Ends::WithLock);
        let locked: BTreeSet<ServiceKey> = locks
            .filter_map(|block| Some((block.app_id?, block.service.clone()?)))
            .collect();
        let new = locked.difference(&self.0);
        let lines = new.map(|(app_id, service)| {
            let taken = LockError::Taken {
                app_id: *app_id,
                service: service.clone(),
            };
            let again =
                next.map_or_else(String::new, |next| format!(", retrying in {}", span(next)));
            format!("Updates are locked{again}. Reason: {taken}")
        });
        let lines = lines.collect();
        self.0 = locked;
        lines
    }

    /// Another target is held up anew.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// A time in its largest whole unit: `2s`, `1m`.
fn span(millis: Millis) -> String {
    let seconds = millis.saturating_add(500) / 1000;
    if seconds < 60 {
        format!("{}s", seconds.max(1))
    } else {
        format!("{}m", seconds / 60)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::tests::{device, target};

    fn texts(told: &[Told]) -> Vec<(&str, bool)> {
        let told = told.iter();
        told.map(|told| (told.text.as_str(), told.is_error))
            .collect()
    }

    fn required(web: &serde_json::Value, labels: &serde_json::Value) -> Target {
        let contract = json!({"type": "sw.container", "requires": [{"type": "sw.supervisor", "version": ">=99.0.0"}]});
        let service = |name: &str, image: u32| json!({"imageId": image, "serviceName": name, "image": name, "environment": {}, "labels": {}});
        let (mut a, mut b) = (service("web", 1), service("worker", 2));
        a["contract"] = contract.clone();
        a["labels"] = web.clone();
        b["contract"] = contract;
        b["labels"] = labels.clone();
        target(
            &json!({"apps": {"1": {"name": "app", "commit": "c", "releaseId": 1, "services": {"1": a, "2": b}}}}),
        )
    }

    #[test]
    fn a_rejected_release_is_told_with_its_reasons() {
        let optional = json!({"io.balena.features.optional": "1"});
        let none = json!({});
        let reason = |service: &str| {
            format!(
                "service {service} requires sw.supervisor >=99.0.0; this device has sw.supervisor 19.0.5"
            )
        };
        let told = of_contracts(&required(&none, &none), &device());
        assert_eq!(
            texts(&told),
            [
                (
                    "Some releases were rejected due to having unmet requirements: app: Services with unmet requirements: web, worker",
                    true
                ),
                (reason("web").as_str(), true),
                (reason("worker").as_str(), true),
            ]
        );
        // What might have been left out of it is no matter then.
        assert_eq!(
            of_contracts(&required(&none, &optional), &device()).len(),
            2
        );
        let told = of_contracts(&required(&optional, &optional), &device());
        assert_eq!(
            texts(&told)[0],
            (
                "Not running containers because of contract violations: web. worker",
                false
            )
        );
        assert_eq!(told.len(), 3);
        let nothing = Target::default();
        assert_eq!(of_contracts(&nothing, &device()), []);
    }

    #[test]
    fn a_lock_is_told_once_as_long_as_it_holds() {
        let block = |service: &str, ends| Block {
            app_id: Some(1),
            service: Some(service.to_owned()),
            because: String::new(),
            ends,
        };
        let lock = |service| block(service, Ends::WithLock);
        let mut told = LocksTold::default();
        let blocks = [lock("web"), block("other", Ends::BySomebody)];
        let line = "Updates are locked, retrying in 1m. Reason: Lockfile exists for { appId: 1, service: web }";
        assert_eq!(told.news(&blocks, Some(60_000)), [line]);
        assert_eq!(told.news(&blocks, Some(60_000)), [""; 0]);
        let both = [lock("web"), lock("worker")];
        assert_eq!(
            told.news(&both, None),
            ["Updates are locked. Reason: Lockfile exists for { appId: 1, service: worker }"]
        );
        assert_eq!(told.news(&[], None), [""; 0]);
        // It was let go of in between.
        assert_eq!(told.news(&blocks, Some(2_000)).len(), 1);
        told.forget();
        assert_eq!(told.news(&blocks, Some(2_000)).len(), 1);
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        for (millis, text) in [
            (0, "1s"),
            (1_999, "2s"),
            (59_999, "1m"),
            (60_000, "1m"),
            (150_000, "2m"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
