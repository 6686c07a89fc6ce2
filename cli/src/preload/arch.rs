//! Whether a board runs an image of a container. Pure.

use crate::engine::Platform;

/// What each board runs beside its own, in the ecosystem's words.
const RUNS: [(&str, &[&str]); 5] = [
    ("amd64", &["amd64", "i386"]),
    ("i386", &["i386"]),
    ("aarch64", &["aarch64", "armv7hf", "rpi", "arm"]),
    ("armv7hf", &["armv7hf", "rpi", "arm"]),
    // An image that does not say for which of them it is was built on one of them.
    ("rpi", &["rpi", "arm"]),
];

/// The ecosystem's word for what an image runs on; one that it does not know is the engine's own.
#[must_use]
pub fn arch_word(platform: &Platform) -> &str {
    match (platform.architecture.as_str(), platform.variant.as_str()) {
        ("386", _) => "i386",
        ("arm64", _) => "aarch64",
        ("arm", "v7" | "v8") => "armv7hf",
        ("arm", "v6") => "rpi",
        (architecture, _) => architecture,
    }
}

/// Whether a board of this architecture runs it. What is not known of the board or of the image is no reason to refuse.
#[must_use]
pub fn board_runs(board: Option<&str>, platform: &Platform) -> bool {
    board_runs_word(board, arch_word(platform))
}

/// The same of what is built for boards of another architecture, in the ecosystem's words.
#[must_use]
pub fn board_runs_word(board: Option<&str>, word: &str) -> bool {
    let known = RUNS.iter().find(|(name, _)| Some(*name) == board);
    word.is_empty() || known.is_none_or(|(_, runs)| runs.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_run_their_own_and_what_came_before() {
        let runs = |board: &str, architecture: &str, variant: &str| {
            let platform = Platform {
                architecture: architecture.to_owned(),
                variant: variant.to_owned(),
            };
            board_runs(Some(board), &platform)
        };
        for (board, architecture, variant) in [
            ("amd64", "amd64", ""),
            ("amd64", "386", ""),
            ("aarch64", "arm64", "v8"),
            ("aarch64", "arm", "v7"),
            ("armv7hf", "arm", "v6"),
            ("rpi", "arm", ""),
            ("rpi", "arm", "v6"),
            ("amd64", "", ""),
            ("riscv", "amd64", ""),
        ] {
            assert!(runs(board, architecture, variant), "{board} {architecture}");
        }
        for (board, architecture, variant) in [
            ("amd64", "arm64", "v8"),
            ("aarch64", "amd64", ""),
            ("armv7hf", "arm64", ""),
            ("rpi", "arm", "v7"),
            ("i386", "amd64", ""),
        ] {
            assert!(
                !runs(board, architecture, variant),
                "{board} {architecture}"
            );
        }
    }
}
