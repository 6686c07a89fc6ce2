//! How an image is called in an archive that a device loads before it has seen a network.
//!
//! The target of a fleet names images by their digests, and an engine keeps a digest only of what it has pulled itself: an archive knows no
//! names but tags. So the digest stands there as a tag; whoever looks for an image that is named by its digest looks for that, too.

/// Hex digits of a digest.
const DIGITS: usize = 64;
/// How a digest begins, and a tag that is made of one.
const DIGEST: &str = "sha256:";
const TAG: &str = "sha256-";

/// The name that an image has in an archive: `repository@sha256:…` is `repository:sha256-…` there. `None`: it has no digest, and its own name.
#[must_use]
pub fn archived_name(reference: &str) -> Option<String> {
    let (name, digest) = reference.split_once('@')?;
    let digits = digest.strip_prefix(DIGEST)?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != DIGITS || !digits.bytes().all(is_digit) {
        return None;
    }
    // A colon before a slash belongs to a registry's port.
    let repository = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    };
    (!repository.is_empty()).then(|| format!("{repository}:{TAG}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::archived_name;

    #[test]
    fn a_digest_is_a_tag_there() {
        let digits = "0123456789abcdef".repeat(4);
        for (name, repository) in [
            (
                "registry2.example.com/v2/abc",
                "registry2.example.com/v2/abc",
            ),
            ("127.0.0.1:5000/v2/abc", "127.0.0.1:5000/v2/abc"),
            ("127.0.0.1:5000/v2/abc:latest", "127.0.0.1:5000/v2/abc"),
            ("redis:7", "redis"),
        ] {
            let reference = format!("{name}@sha256:{digits}");
            let expected = format!("{repository}:sha256-{digits}");
            assert_eq!(archived_name(&reference), Some(expected));
        }
        let digest = format!("sha256:{digits}");
        let short = &digest[..70];
        for other in [
            "redis",
            "redis:7",
            digest.as_str(),
            &format!("@{digest}"),
            &format!("a@{short}"),
            &format!("a@{}", digest.to_uppercase()),
            &format!("a@sha512:{digits}"),
            &format!("a@{short}g"),
        ] {
            assert_eq!(archived_name(other), None, "{other}");
        }
    }
}
