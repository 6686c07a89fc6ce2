//! When something that failed is tried again.

use crate::model::{Failure, Millis};

/// After the first failure: 2 × this.
const BASE: Millis = 500;
/// Never later than this.
const CAP: Millis = 15 * 60 * 1000;

/// The earliest time of the next try.
pub(super) fn until(failure: &Failure) -> Millis {
    let delay = 2_i64
        .checked_pow(failure.count)
        .and_then(|factor| factor.checked_mul(BASE))
        .map_or(CAP, |delay| delay.min(CAP));
    failure.at.saturating_add(delay)
}
