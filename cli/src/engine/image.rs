//! Image references.

use std::fmt;

/// `repository[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef {
    /// Registry and repository.
    pub repository: String,
    /// Tag, without its colon.
    pub tag: Option<String>,
    /// Digest, without its `@`.
    pub digest: Option<String>,
}

impl ImageRef {
    /// Takes a reference apart. A colon before a slash belongs to a registry's port.
    #[must_use]
    pub fn parse(reference: &str) -> Self {
        let (name, digest) = match reference.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (reference, None),
        };
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
            _ => (name, None),
        };
        Self {
            repository: repository.to_owned(),
            tag,
            digest,
        }
    }

    /// What a pull asks for: digest, tag, or `latest`; an engine that is given none pulls every tag there is.
    #[must_use]
    pub fn version(&self) -> &str {
        self.digest
            .as_deref()
            .or(self.tag.as_deref())
            .unwrap_or("latest")
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.digest.is_some() { '@' } else { ':' };
        write!(f, "{}{separator}{}", self.repository, self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (text, repository, version, shown) in [
            ("redis", "redis", "latest", "redis:latest"),
            ("redis:7", "redis", "7", "redis:7"),
            ("a/b:1", "a/b", "1", "a/b:1"),
            ("host:5000/a", "host:5000/a", "latest", "host:5000/a:latest"),
            ("ghcr.io/a/b:x", "ghcr.io/a/b", "x", "ghcr.io/a/b:x"),
            ("a:1@sha256:00", "a", "sha256:00", "a@sha256:00"),
        ] {
            let image = ImageRef::parse(text);
            assert_eq!(image.repository, repository, "{text}");
            assert_eq!(image.version(), version, "{text}");
            assert_eq!(image.to_string(), shown, "{text}");
        }
    }
}
