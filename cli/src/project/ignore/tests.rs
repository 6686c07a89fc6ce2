use std::{collections::BTreeSet, path::Path};

use proptest::prelude::*;

use super::{Folder, IgnoreError, Rules};

/// One case of `tests/fixtures/dockerignore`, which a test with a real engine reads too.
#[derive(Debug, Default)]
struct Case {
    name: String,
    ignore: Vec<String>,
    tree: Vec<String>,
    kept: Vec<String>,
    error: Option<String>,
}

const FIXTURES: [&str; 4] = [
    include_str!("../../../../tests/fixtures/dockerignore/basics.case"),
    include_str!("../../../../tests/fixtures/dockerignore/exceptions.case"),
    include_str!("../../../../tests/fixtures/dockerignore/invalid.case"),
    include_str!("../../../../tests/fixtures/dockerignore/wildcards.case"),
];

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            name.clone_into(
                &mut {
                    cases.push(Case::default());
                    cases.last_mut().unwrap()
                }
                .name,
            );
            section = "";
            continue;
        }
        let Some(case) = cases.last_mut() else {
            continue;
        };
        match line {
            "ignore:" | "tree:" | "kept:" | "kept by the older builder:" | "error:" => {
                section = line;
            }
            _ => {
                let visible = line
                    .replace("<SP>", " ")
                    .replace("<TAB>", "\t")
                    .replace("<CR>", "\r")
                    .replace("<BOM>", "\u{feff}");
                match section {
                    "ignore:" => case.ignore.push(visible),
                    "tree:" if !line.is_empty() => case.tree.push(visible),
                    "kept:" if !line.is_empty() => case.kept.push(visible),
                    "error:" if !line.is_empty() => case.error = Some(visible),
                    _ => {}
                }
            }
        }
    }
    cases
}

/// Walks a list of paths (folders end in `/`) the way a context is walked, and gives what is kept, folders of kept things included.
fn walk(rules: &Rules, tree: &[String]) -> BTreeSet<String> {
    let mut kept = BTreeSet::new();
    let all: BTreeSet<String> = tree
        .iter()
        .flat_map(|path| {
            path.match_indices('/')
                .map(|(at, _)| path[..=at].to_owned())
                .chain([path.clone()])
        })
        .collect();
    let mut folders: std::collections::BTreeMap<String, (Folder, bool)> =
        std::collections::BTreeMap::new();
    for path in all {
        let bare = path.trim_end_matches('/');
        let above = bare.rfind('/').map(|at| bare[..=at].to_owned());
        let parent = above.as_ref().map(|above| &folders[above]);
        if parent.is_some_and(|(_, entered)| !entered) {
            if path.ends_with('/') {
                let folder = rules.folder(bare.as_bytes(), parent.map(|(folder, _)| folder));
                folders.insert(path, (folder, false));
            }
            continue;
        }
        let parent = parent.map(|(folder, _)| folder);
        let ignored = if path.ends_with('/') {
            let folder = rules.folder(bare.as_bytes(), parent);
            let ignored = folder.ignored;
            let entered = !ignored || rules.worth_entering(bare.as_bytes(), &folder);
            folders.insert(path.clone(), (folder, entered));
            ignored
        } else {
            rules.ignores(bare.as_bytes(), parent)
        };
        if !ignored {
            kept.extend(
                path.match_indices('/')
                    .map(|(at, _)| path[..=at].to_owned()),
            );
            kept.insert(path);
        }
    }
    kept
}

#[test]
fn keeps_what_the_engine_keeps() {
    let mut checked = 0;
    for case in FIXTURES.into_iter().flat_map(cases) {
        let text = case.ignore.join("\n");
        let rules = Rules::plain(Path::new(".dockerignore"), text.as_bytes());
        match (&case.error, rules) {
            (Some(part), Err(error)) => {
                assert!(error.to_string().contains(part), "{}: {error}", case.name);
            }
            (None, Ok(rules)) => {
                let kept: BTreeSet<String> = case.kept.into_iter().collect();
                assert_eq!(walk(&rules, &case.tree), kept, "{}", case.name);
            }
            (expected, got) => panic!("{}: expected {expected:?}, got {got:?}", case.name),
        }
        checked += 1;
    }
    assert!(checked > 40, "only {checked} cases were found");
}

#[test]
fn names_the_line_of_a_bad_pattern() {
    let error = Rules::plain(Path::new("/p/.dockerignore"), b"a\n\n# x\nb[\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/p/.dockerignore:4: pattern \"b[\" is not valid: a bracket is not closed"
    );
}

#[test]
fn refuses_a_file_that_is_no_list_of_patterns() {
    let error = Rules::plain(Path::new("i"), &vec![b'a'; (1 << 20) + 1]).unwrap_err();
    assert!(matches!(error, IgnoreError::TooLong { .. }), "{error}");
}

#[test]
fn a_project_keeps_its_description_and_drops_version_control() {
    let rules = Rules::of_project(Path::new("i"), b"*\n!.git\n!sub\n").unwrap();
    for kept in [
        "Dockerfile",
        "Dockerfile.template",
        "docker-compose.yml",
        ".balena",
        ".resin",
        ".git",
    ] {
        assert!(!rules.ignores(kept.as_bytes(), None), "{kept}");
    }
    for ignored in ["docker-compose.yaml", "Dockerfiles", "x"] {
        assert!(rules.ignores(ignored.as_bytes(), None), "{ignored}");
    }
    let rules = Rules::of_project(Path::new("i"), b"").unwrap();
    assert!(rules.ignores(b".git", None));
    let sub = rules.folder(b"sub", None);
    assert!(rules.ignores(b"sub/.git", Some(&sub)));
    assert!(!rules.ignores(b"sub/.gitignore", Some(&sub)));
}

#[test]
fn ignored_folders_are_entered_only_for_written_exceptions() {
    let enters = |text: &str, folder: &str| {
        let rules = Rules::of_project(Path::new("i"), text.as_bytes()).unwrap();
        let judged = rules.folder(folder.as_bytes(), None);
        assert!(judged.ignored, "{text:?} {folder}");
        rules.worth_entering(folder.as_bytes(), &judged)
    };
    assert!(!enters("node_modules", "node_modules"));
    assert!(!enters("!node_modules/keep\nnode_modules", "node_modules"));
    assert!(!enters("node_modules\n!other/keep", "node_modules"));
    assert!(!enters("node_modules\n!node_modules2", "node_modules"));
    assert!(!enters("*\n!*.md", "docs"));
    assert!(enters("node_modules\n!node_modules/a/b", "node_modules"));
    assert!(enters("*\n!docs/*.md", "docs"));
    assert!(enters("*\n!**/*.md", "docs"));
    assert!(enters("*\n!*/x", "docs"));
    // The last rule is not tried on the folder, which is ignored already, and so does not count for what is in it.
    assert!(enters("*\n!**/*.md\ndocs", "docs"));
}

#[test]
fn paths_that_are_not_utf8_are_compared_as_bytes() {
    let rules = Rules::plain(Path::new("i"), b"caf\xe9\n*.b\xe9\n").unwrap();
    assert!(rules.ignores(b"caf\xe9", None));
    assert!(!rules.ignores(b"caf\xe8", None));
    assert!(rules.ignores(b"x.b\xe9", None));
    assert!(!rules.ignores("café".as_bytes(), None));
}

/// The documented rules, written down as plainly as they can be: patterns of whole parts, where `**` is any number of parts.
mod reference {
    fn part(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) if part(rest, text) => true,
            (Some((b'*', _)), Some((_, text))) => part(pattern, text),
            (Some((b'?', rest)), Some((_, text))) => part(rest, text),
            (Some((one, rest)), Some((other, text))) => one == other && part(rest, text),
            _ => false,
        }
    }

    fn parts(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) | (Some((&"**", [])), Some(_)) => true,
            (Some((&"**", rest)), _) if !rest.is_empty() && parts(rest, path) => true,
            (Some((&"**", _)), Some((_, path))) => parts(pattern, path),
            (Some((one, rest)), Some((other, path))) => {
                part(one.as_bytes(), other.as_bytes()) && parts(rest, path)
            }
            _ => false,
        }
    }

    /// Whether the pattern matches the path or a folder that it is in.
    fn covers(pattern: &str, path: &[&str]) -> bool {
        let pattern: Vec<&str> = pattern.split('/').collect();
        (1..=path.len()).any(|length| parts(&pattern, &path[..length]))
    }

    /// The last match wins.
    pub(super) fn ignores(patterns: &[String], path: &str) -> bool {
        let path: Vec<&str> = path.split('/').collect();
        let mut ignored = false;
        for pattern in patterns {
            let (exception, pattern) = match pattern.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, pattern.as_str()),
            };
            if covers(pattern, &path) {
                ignored = !exception;
            }
        }
        ignored
    }
}

fn judge_from_the_top(rules: &Rules, path: &str) -> bool {
    let mut parent: Option<Folder> = None;
    for (at, _) in path.match_indices('/') {
        parent = Some(rules.folder(&path.as_bytes()[..at], parent.as_ref()));
    }
    rules.ignores(path.as_bytes(), parent.as_ref())
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..60), path in prop::collection::vec(any::<u8>(), 0..30)) {
        if let Ok(rules) = Rules::of_project(Path::new("i"), &text) {
            let folder = rules.folder(&path, None);
            rules.worth_entering(&path, &folder);
            rules.ignores(&[&path[..], b"/x"].concat(), Some(&folder));
        }
    }

    #[test]
    fn no_pattern_makes_it_panic(lines in prop::collection::vec(r"[!ab*?/.\[\]\\^:d-]{0,10}", 0..5), path in "[ab.]{1,3}(/[ab.]{1,3}){0,2}") {
        if let Ok(rules) = Rules::plain(Path::new("i"), lines.join("\n").as_bytes()) {
            judge_from_the_top(&rules, &path);
        }
    }

    /// Without exceptions, order cannot matter, and the documented rules are all there is.
    #[test]
    fn agrees_with_the_documented_rules(
        patterns in prop::collection::vec("(a|b|\\*|a\\*|\\?|\\*\\*|\\*b)(/(a|b|\\*|b\\?|\\*\\*|ab)){0,2}", 1..5),
        path in "(a|b|ab|ba)(/(a|b|ab|bb)){0,3}",
    ) {
        let rules = Rules::plain(Path::new("i"), patterns.join("\n").as_bytes()).unwrap();
        prop_assert_eq!(judge_from_the_top(&rules, &path), reference::ignores(&patterns, &path));
    }

    /// With exceptions, at the top, where no folder above could have been judged before.
    #[test]
    fn the_last_match_wins(
        patterns in prop::collection::vec("!?(a|b|\\*|a\\*|\\?|\\*\\*/a|\\*b)", 1..6),
        path in "(a|b|ab|ba)",
    ) {
        let rules = Rules::plain(Path::new("i"), patterns.join("\n").as_bytes()).unwrap();
        prop_assert_eq!(judge_from_the_top(&rules, &path), reference::ignores(&patterns, &path));
    }

    /// Not entering a folder loses nothing: whatever is kept anywhere is kept by the walk that skips folders.
    #[test]
    fn folders_that_are_not_entered_hold_nothing_that_is_kept(
        patterns in prop::collection::vec("!?(a|b|\\*|a\\*|\\?|\\*\\*)(/(a|b|\\*|b\\?|\\*\\*|ab)){0,2}", 1..6),
        paths in prop::collection::vec("(a|b|ab)(/(a|b|ab)){0,3}/f", 1..6),
    ) {
        let rules = Rules::plain(Path::new("i"), patterns.join("\n").as_bytes()).unwrap();
        let kept = walk(&rules, &paths);
        for path in paths {
            prop_assert_eq!(kept.contains(&path), !judge_from_the_top(&rules, &path), "{}", path);
        }
    }
}
