//! Health checks: the image's, with what the service changes in it.

use crate::model::Healthcheck;
use crate::target::compose::HealthcheckChange;

/// The check of a container; without any it is said so, because nothing would mean the image's.
pub(super) fn of(change: Option<&HealthcheckChange>, image: Option<&Healthcheck>) -> Healthcheck {
    let Some(change) = change else {
        return image.cloned().unwrap_or_else(Healthcheck::none);
    };
    let image = image.cloned().unwrap_or_default();
    let test = change
        .test
        .clone()
        .filter(|test| !test.is_empty())
        .unwrap_or(image.test);
    if test.first().is_none_or(|kind| kind == "NONE") {
        return Healthcheck::none();
    }
    // Zero is the engine's word for absent.
    let given = |change: Option<i64>, image: Option<i64>| change.filter(|v| *v != 0).or(image);
    Healthcheck {
        test,
        interval: given(change.interval, image.interval),
        timeout: given(change.timeout, image.timeout),
        start_period: given(change.start_period, image.start_period),
        retries: given(change.retries, image.retries),
    }
}
