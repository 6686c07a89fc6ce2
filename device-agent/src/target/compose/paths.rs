//! Paths in a container, as the engine compares them. Pure text: nothing is looked up.

/// Where every service has its own directory of the device.
pub(crate) const OWN_DIRECTORIES: [&str; 2] = ["/tmp/balena", "/tmp/resin"];

/// A path without empty parts, `.` and `..`: two that are equal then are one place to mount at.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Absolute, and not the root, which the engine refuses.
pub(super) fn is_mount_point(path: &str) -> bool {
    path.starts_with('/') && clean(path) != "/"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_the_engine_does() {
        for (written, cleaned) in [
            ("/", "/"),
            ("//", "/"),
            ("/.", "/"),
            ("/..", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("//a//b", "/a/b"),
            ("/a/./b/.", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/../..", "/"),
            ("/../../a", "/a"),
            ("/...", "/..."),
        ] {
            assert_eq!(clean(written), cleaned, "{written}");
            assert_eq!(is_mount_point(written), cleaned != "/", "{written}");
        }
        assert!(!is_mount_point("a/b") && !is_mount_point(""));
    }
}
