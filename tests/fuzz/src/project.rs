//! Files of a project.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use os_cli::{
    deploy,
    engine::ImageRef,
    project::{
        Problems, Project,
        compose::{self, Composition},
        dockerfile, dotenv, ignore, interpolate,
        template::{self, Values},
        yaml::{self, Node, Value},
    },
};

use super::text::{folder, line_ends, lines, texts};

/// A text: a tree within its bounds, or a mistake within the text.
pub(crate) fn yaml(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // YAML ends a line at a lone carriage return, too.
    let last = lines(text) + text.matches('\r').count();
    match yaml::parse(text) {
        Ok(node) => {
            let mut count = 0;
            check_node(&node, last, 0, &mut count);
            assert!(count <= yaml::MAX_NODES + 1, "{count} nodes");
        }
        Err(invalid) => {
            assert!((1..=last).contains(&invalid.at.line), "{invalid} of {last}");
            assert!(invalid.at.column >= 1, "{invalid}");
            assert!(!invalid.message.is_empty());
            // It may repeat words of the text, characters written out, and no more.
            assert!(invalid.message.len() <= 10 * text.len() + 1000);
        }
    }
}

fn check_node(node: &Node, last: usize, depth: usize, count: &mut usize) {
    *count += 1;
    assert!(depth <= yaml::MAX_DEPTH + 1, "too deep");
    assert!((1..=last).contains(&node.at.line), "{:?}", node.at);
    assert!(node.at.column >= 1 && node.at.length >= 1, "{:?}", node.at);
    match &node.value {
        Value::Scalar(scalar) => assert!(scalar.text.len() <= yaml::MAX_BYTES),
        Value::List(nodes) => {
            for node in nodes {
                check_node(node, last, depth + 1, count);
            }
        }
        Value::Map(entries) => {
            let keys: BTreeSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
            assert_eq!(keys.len(), entries.len(), "a key twice");
            for entry in entries {
                assert!((1..=last).contains(&entry.at.line), "{:?}", entry.at);
                check_node(&entry.value, last, depth + 1, count);
            }
        }
    }
}

/// A template, then the `.env` text that its variables come from.
pub(crate) fn interpolate(input: &[u8]) {
    let Some(texts) = texts(input) else { return };
    let (template, known) = (texts[0], variables(texts.get(1).copied()));
    let lookup = |name: &str| known.get(name).cloned();
    match interpolate::expand(template, &lookup) {
        Ok(expanded) => {
            assert!(expanded.text.len() <= interpolate::MAX_BYTES);
            for name in &expanded.unset {
                assert!(template.contains(name.as_str()), "{name}");
                assert!(!known.contains_key(name), "{name} is set");
            }
            if !template.contains('$') {
                assert_eq!(expanded.text, template);
            }
        }
        Err(error) => {
            assert!(template.contains('$'));
            assert!(!error.to_string().is_empty());
        }
    }
    // A dollar sign that is written twice is one, and everything else is itself.
    let escaped = template.replace('$', "$$");
    let plain = interpolate::expand(&escaped, &lookup).map(|expanded| expanded.text);
    assert_eq!(plain.as_deref(), Ok(template));
}

fn variables(text: Option<&str>) -> BTreeMap<String, String> {
    dotenv::parse(text.unwrap_or_default())
        .unwrap_or_default()
        .into_iter()
        .collect()
}

/// An env file.
pub(crate) fn dotenv(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match dotenv::parse(text) {
        Ok(pairs) => {
            let sizes = pairs.iter().map(|(name, value)| name.len() + value.len());
            assert!(sizes.sum::<usize>() <= dotenv::MAX_BYTES);
            assert!(pairs.iter().all(|(name, _)| !name.is_empty()));
            again(&pairs);
        }
        Err(invalid) => {
            assert!((1..=lines(text)).contains(&invalid.line), "{invalid}");
            assert!(invalid.column >= 1 && !invalid.message.is_empty());
        }
    }
}

/// What was read, written down in single quotes, is read the same; but for backslashes, some of which cannot be written so.
fn again(pairs: &[(String, String)]) {
    let kept: Vec<_> = pairs
        .iter()
        .filter(|(_, value)| !value.contains(['\\', '\r']))
        .cloned()
        .collect();
    let written: Vec<String> = kept
        .iter()
        .map(|(name, value)| format!("{name}='{}'\n", value.replace('\'', "\\'")))
        .collect();
    assert_eq!(dotenv::parse(&written.concat()), Ok(kept), "{written:?}");
}

/// Compose files in merge order, and last, where there is more than one text, an env file.
pub(crate) fn compose(input: &[u8]) {
    let Some(mut texts) = texts(input) else {
        return;
    };
    let env = if texts.len() > 1 { texts.pop() } else { None };
    let root = folder().join("project");
    let names = ["docker-compose.yml", "docker-compose.dev.yml", "third.yml"];
    let files: Vec<_> = texts
        .iter()
        .zip(names)
        .map(|(text, name)| (root.join(name), (*text).to_owned()))
        .collect();
    let request = compose::Request {
        root: &root,
        files: &files,
        environment: &variables(env),
        profiles: &[],
    };
    match compose::read(&request) {
        Ok(composition) => accepted(&root, composition),
        Err(Problems(problems)) => {
            assert!(!problems.is_empty(), "failed without a reason");
            for problem in problems {
                assert!(!problem.message.is_empty());
                assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
                let file = files.iter().find(|(path, _)| path.ends_with(&problem.file));
                if let Some((_, text)) = file {
                    let last = lines(text) + text.matches('\r').count();
                    assert!(problem.line <= last, "{problem}");
                }
            }
        }
    }
}

/// What the workstation lets pass, a device takes.
fn accepted(root: &Path, composition: Composition) {
    let names = composition.services.iter().map(|service| &service.name);
    let unique = names.collect::<BTreeSet<_>>().len();
    assert_eq!(unique, composition.services.len(), "a service twice");
    let project = Project {
        root: root.to_owned(),
        compose_files: Vec::new(),
        services: composition.services,
        volumes: composition.volumes,
        networks: composition.networks,
        warnings: composition.warnings,
    };
    let facts = deploy::Facts {
        device_type: "generic-amd64".to_owned(),
        arch: "amd64".to_owned(),
        namespace: None,
        tag: None,
    };
    let body = deploy::target_body(None, &deploy::plan(&project, &facts));
    let body = String::from_utf8(body).expect("JSON is UTF-8");
    if let Err(words) = os_agent::fuzz::target_body(&body, "") {
        panic!("the device refuses it: {words}\n{body}");
    }
}

/// An ignore file, then paths.
pub(crate) fn dockerignore(input: &[u8]) {
    let mut parts = input.split(|byte| *byte == 0);
    let file = Path::new(".dockerignore");
    let text = parts.next().unwrap_or_default();
    let of_project = ignore::Rules::of_project(file, text);
    let rules = match (ignore::Rules::plain(file, text), of_project) {
        (Ok(rules), Ok(_)) => rules,
        (Err(ignore::IgnoreError::Pattern { line, .. }), Err(_)) => {
            let last = line_ends(text) + 1;
            assert!((1..=last).contains(&line), "{line} of {last}");
            return;
        }
        (Err(_), Err(_)) => return,
        (alone, _) => panic!("valid in one company only; alone: {}", alone.is_ok()),
    };
    let padded = ignore::Rules::plain(file, &padded(text)).expect("still valid");
    for path in parts.take(16).filter(|path| is_path(path)) {
        let ignored = judge(&rules, path);
        assert_eq!(ignored, judge(&padded, path), "white space counts");
        if let Some(expected) = plainly(text, path) {
            assert_eq!(ignored, expected, "{:?}", String::from_utf8_lossy(path));
        }
    }
}

/// A path as the walk of a context gives it.
fn is_path(path: &[u8]) -> bool {
    path.len() < 200
        && path
            .split(|byte| *byte == b'/')
            .all(|part| !part.is_empty() && part != b"." && part != b"..")
}

/// The same rules with what means nothing around them.
fn padded(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut out = "\u{feff}# nothing\n\n".as_bytes().to_vec();
    for line in text.split(|byte| *byte == b'\n') {
        if line.starts_with(b"#") {
            continue;
        }
        out.extend_from_slice(b"  ");
        out.extend_from_slice(line);
        out.extend_from_slice(b"\t\r\n");
    }
    out
}

/// Judges a path as the walk of a context does: a folder that is not worth entering is not entered.
fn judge(rules: &ignore::Rules, path: &[u8]) -> bool {
    let mut parent: Option<ignore::Folder> = None;
    let mut entered = true;
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    for (end, _) in ends {
        let above = &path[..end];
        let folder = rules.folder(above, parent.as_ref());
        assert_eq!(folder.ignored, rules.ignores(above, parent.as_ref()));
        entered &= !folder.ignored || rules.worth_entering(above, &folder);
        parent = Some(folder);
    }
    let ignored = rules.ignores(path, parent.as_ref());
    assert!(
        ignored || entered,
        "{:?} is not ignored and not reached",
        String::from_utf8_lossy(path)
    );
    ignored
}

/// What one plain pattern (letters, `*`, `?`, `/`) means, worked out the simple way; nothing for all others.
fn plainly(text: &[u8], path: &[u8]) -> Option<bool> {
    let simple = |byte: &u8| byte.is_ascii_alphanumeric() || b"*?/_-".contains(byte);
    let fits = text.iter().all(simple) && path.is_ascii();
    let pattern: Vec<&[u8]> = text
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    if !fits || pattern.is_empty() || text.windows(2).any(|pair| pair == b"**") {
        return None;
    }
    let path: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    // It means the path itself, and what is below it.
    Some(path.get(..pattern.len()).is_some_and(|above| {
        let mut parts = pattern.iter().zip(above);
        parts.all(|(pattern, part)| glob(pattern, part))
    }))
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], _) => text.is_empty(),
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| glob(rest, &text[at..])),
        ([b'?', rest @ ..], [_, text @ ..]) => glob(rest, text),
        ([wanted, rest @ ..], [found, text @ ..]) => wanted == found && glob(rest, text),
        (_, []) => false,
    }
}

/// A Dockerfile or template, then an env file with build arguments.
pub(crate) fn dockerfile(input: &[u8]) {
    let Some(texts) = texts(input) else { return };
    let text = texts[0];
    let facts = dockerfile::facts(text, &variables(texts.get(1).copied()));
    let images: BTreeSet<&String> = facts.images.iter().collect();
    assert_eq!(images.len(), facts.images.len(), "an image twice");
    for image in images {
        assert!(!image.is_empty() && image != "scratch");
        let parsed = ImageRef::parse(image);
        let path = parsed.repository.rsplit('/').next().unwrap_or_default();
        // With two colons in its last part it is no reference at all.
        if !path.contains(':') {
            let again = ImageRef::parse(&parsed.to_string());
            assert_eq!(again.repository, parsed.repository, "{image:?}");
            assert_eq!(again.version(), parsed.version(), "{image:?}");
        }
    }
    if let Some((line, reason)) = facts.doubt {
        assert!((1..=lines(text)).contains(&line), "line {line}: {reason}");
        assert!(!reason.is_empty());
    }
    followed(text, &variables(texts.get(1).copied()));
    expanded(text);
}

/// What a Dockerfile does with files is read of any text, with or without its comments for live development.
fn followed(text: &str, arguments: &BTreeMap<String, String>) {
    let live = dockerfile::live(text).ok().flatten();
    for text in [Some(text), live.as_deref()].into_iter().flatten() {
        let base = |_: &str| Some(dockerfile::Base::default());
        let Ok(recipe) = dockerfile::recipe(text, None, arguments, &base) else {
            continue;
        };
        for step in recipe.steps {
            let sources = match step {
                dockerfile::Step::Copy(copy) => {
                    assert!(
                        copy.to.starts_with('/') && !copy.to.contains("/../"),
                        "{}",
                        copy.to
                    );
                    copy.sources
                }
                dockerfile::Step::Unfollowed { sources, .. } => sources,
                dockerfile::Step::Run(run) => {
                    assert!(run.folder.starts_with('/'), "{}", run.folder);
                    continue;
                }
            };
            for source in sources {
                for path in ["a", "a/b/c", "src/main.rs"] {
                    let Some((head, tail)) = source.split(path) else {
                        continue;
                    };
                    assert!(
                        path.starts_with(head) && path.ends_with(tail),
                        "{head} {tail}"
                    );
                }
            }
        }
    }
}

fn expanded(text: &str) {
    let values = Values {
        device_type: "raspberrypi4-64",
        arch: "aarch64",
        service: "web",
    };
    match template::expand(text, &values) {
        Ok(expanded) => {
            assert_eq!(lines(&expanded), lines(text));
            let again = template::expand(&expanded, &values);
            assert_eq!(again.as_ref(), Ok(&expanded), "a value was expanded");
            if !text.contains("%%") {
                assert_eq!(expanded, text);
            }
        }
        Err(unknown) => {
            assert!((1..=lines(text)).contains(&unknown.line), "{unknown}");
            assert!(text.contains(&unknown.variable));
        }
    }
}
