//! How much of a test is run: a sample each time, or all of it where a tier asks for that.

use crate::programs::named;

/// Whether everything is tried of which tests usually try a sample: `OS_TEST_THOROUGH` is set, as `tests/soak/run` does.
pub fn is_thorough() -> bool {
    named("OS_TEST_THOROUGH").is_some()
}

/// A number that a variable of the environment holds, else `usual`. Panics when it holds no number.
pub fn number(variable: &str, usual: usize) -> usize {
    named(variable).map_or(usual, |text| {
        let number = text.to_str().and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("{variable} is no number: {}", text.display()))
    })
}

/// Of all `cases` in their order: every one where the tier is thorough, else every `stride`th.
pub fn sampled<T>(cases: impl Iterator<Item = T>, stride: usize) -> impl Iterator<Item = T> {
    cases.step_by(if is_thorough() { 1 } else { stride })
}
