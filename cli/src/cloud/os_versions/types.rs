//! Device types, as a cloud's manifests have them.

use serde::Deserialize;

use crate::project::compose::spelling::distance;

/// Types that are named where one is not known.
const NAMED: usize = 4;
/// Characters of the longest name.
const LONGEST: usize = 64;

/// A device type.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeviceType {
    /// What it is called.
    pub slug: String,
    /// What it was called, or is called by some.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// All types of an answer; `None` when it is no such answer. Files are called by their names: what could not be such a name is left out.
#[must_use]
pub fn types(body: &[u8]) -> Option<Vec<DeviceType>> {
    let mut types: Vec<DeviceType> = serde_json::from_slice(body).ok()?;
    types.retain(|one| is_name(&one.slug));
    Some(types)
}

fn is_name(slug: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_plain = slug.starts_with(|first: char| first.is_ascii_alphanumeric());
    is_plain && slug.len() <= LONGEST && slug.bytes().all(fits)
}

/// The type that is called so.
#[must_use]
pub fn find<'a>(types: &'a [DeviceType], word: &str) -> Option<&'a DeviceType> {
    let is_alias = |one: &&DeviceType| one.aliases.iter().any(|alias| alias == word);
    let mut all = types.iter();
    all.find(|one| one.slug == word)
        .or_else(|| types.iter().find(is_alias))
}

/// Types with a name like this one, the likeliest first.
#[must_use]
pub fn near(types: &[DeviceType], word: &str) -> Vec<String> {
    let word = word.to_lowercase();
    let letters: Vec<char> = word.chars().take(64).collect();
    let close = |name: &str| {
        let far = distance(&letters, name);
        let holds = word.len() > 2 && name.contains(&word);
        (holds || far <= 2 + letters.len() / 8).then_some((!holds, far))
    };
    // Whoever typed it knows of that one.
    let others = types.iter().filter(|one| one.slug != word);
    let mut near: Vec<_> = others
        .filter_map(|one| {
            let names = one.aliases.iter().chain([&one.slug]);
            let best = names.filter_map(|name| close(name)).min()?;
            Some((best, one.slug.clone()))
        })
        .collect();
    near.sort_unstable();
    near.dedup_by(|one, other| one.1 == other.1);
    near.into_iter().map(|(_, slug)| slug).take(NAMED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_by_its_aliases_and_near_ones_are_named() {
        let body = br#"[{"slug":"raspberrypi4-64","aliases":["rpi4"],"arch":"aarch64"},{"slug":"raspberrypi3-64"},
                        {"slug":"generic-amd64","aliases":[]}]"#;
        let types = types(body).unwrap();
        assert_eq!(find(&types, "rpi4").unwrap().slug, "raspberrypi4-64");
        assert_eq!(find(&types, "generic-amd64").unwrap().slug, "generic-amd64");
        assert_eq!(find(&types, "generic"), None);
        assert_eq!(
            near(&types, "raspberypi4-64"),
            ["raspberrypi4-64", "raspberrypi3-64"]
        );
        assert_eq!(
            near(&types, "raspberrypi"),
            ["raspberrypi3-64", "raspberrypi4-64"]
        );
        assert_eq!(near(&types, "rpi5"), ["raspberrypi4-64"]);
        assert!(near(&types, "beaglebone").is_empty());
        assert_eq!(super::types(b"{}"), None);
        for slug in ["", "../x", "a/b", ".hidden", "-o", "a b", "a\\u001b"] {
            let body = format!(r#"[{{"slug":"{slug}"}},{{"slug":"intel-nuc"}}]"#);
            let types = super::types(body.as_bytes()).unwrap();
            assert_eq!(types.len(), 1, "{slug}");
        }
    }
}
