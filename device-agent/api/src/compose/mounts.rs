//! Paths in a container, as the engine compares them, and how something is mounted there. Pure text: nothing is looked up.

/// Where every service has its own directory of the device.
pub const OWN_DIRECTORIES: [&str; 2] = ["/tmp/balena", "/tmp/resin"];

/// How mounts below a folder are passed on.
pub const PROPAGATION: [&str; 6] = [
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

/// A path without empty parts, `.` and `..`: two that are equal then are one place to mount at.
#[must_use]
pub fn clean(path: &str) -> String {
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
#[must_use]
pub fn is_mount_point(path: &str) -> bool {
    path.starts_with('/') && clean(path) != "/"
}

/// Where an entry of `tmpfs` is mounted: options stand behind a colon.
#[must_use]
pub fn of_tmpfs(entry: &str) -> &str {
    entry.split(':').next().unwrap_or_default()
}

/// Whether a mode is one: its words exclude each other in groups.
#[must_use]
pub fn is_mode(mode: &str, is_bind: bool) -> bool {
    let mut groups = [false; 5];
    mode.split(',').all(|word| {
        let group = match word {
            "ro" | "rw" => 0,
            "z" | "Z" => 1,
            "consistent" | "cached" | "delegated" => 2,
            "nocopy" => 3,
            word if is_bind && PROPAGATION.contains(&word) => 4,
            _ => return false,
        };
        groups
            .get_mut(group)
            .is_some_and(|taken| !std::mem::replace(taken, true))
    })
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
