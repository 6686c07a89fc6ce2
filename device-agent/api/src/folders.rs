//! Which folders of a device its services may mount.

/// Below which they are.
pub const SHARED: &str = "/tmp/";

/// Where agents keep the directories of services there: who could write to another's would hold its update locks and
/// hand it over.
const OF_AGENTS: [&str; 2] = ["balena-supervisor", "resin-supervisor"];

/// Whether services may mount a folder of this path: below [`SHARED`], however it is written, and in no agent's tree.
/// Where links on the way lead is another question.
#[must_use]
pub fn is_shared(source: &str) -> bool {
    let below = source.strip_prefix(SHARED).unwrap_or_default();
    let mut parts = below.split('/').filter(|part| !part.is_empty());
    let is_plain = |part: &str| !matches!(part, "." | "..");
    parts
        .next()
        .is_some_and(|first| is_plain(first) && !OF_AGENTS.contains(&first))
        && parts.all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::is_shared;

    #[test]
    fn what_is_below_tmp_and_no_agents_is_shared() {
        for shared in [
            "/tmp/a",
            "/tmp/a/",
            "/tmp//a/b",
            "/tmp/balena",
            "/tmp/a/balena-supervisor",
            "/tmp/balena-supervisor2",
            "/tmp/...",
        ] {
            assert!(is_shared(shared), "{shared}");
        }
        for other in [
            "",
            "/",
            "/tmp",
            "/tmp/",
            "/tmp//",
            "tmp/a",
            "/tmpfoo/a",
            "/etc",
            "/tmp/..",
            "/tmp/./a",
            "/tmp/a/../../etc",
            "/tmp/balena-supervisor",
            "/tmp//balena-supervisor/services/1/web",
            "/tmp/resin-supervisor/services",
        ] {
            assert!(!is_shared(other), "{other}");
        }
    }
}
