use std::collections::BTreeMap;

use super::*;

fn read(text: &str, target: Option<&str>) -> Recipe {
    let arguments = BTreeMap::from([("DIR".to_owned(), "given".to_owned())]);
    let base = |image: &str| match image {
        "node:20" => Some(Base {
            folder: "/usr/src".to_owned(),
            user: "node".to_owned(),
            ..Base::default()
        }),
        "hooked" => Some(Base {
            has_triggers: true,
            ..Base::default()
        }),
        "unknown" => None,
        _ => Some(Base::default()),
    };
    recipe(text, target, &arguments, &base).unwrap()
}

/// The steps in short.
fn short(recipe: &Recipe) -> Vec<String> {
    let steps = recipe.steps.iter().map(|step| match step {
        Step::Copy(copy) => {
            let sources: Vec<&str> = copy.sources.iter().map(Source::as_str).collect();
            let mut text = format!("{} > {}", sources.join(" "), copy.to);
            text.extend(copy.is_folder.then_some('/'));
            if let Some(owner) = &copy.owner {
                text.extend([" ", owner]);
            }
            let mode = copy.mode.map(|mode| format!(" {mode:o}"));
            text + &mode.unwrap_or_default() + if copy.is_live { " live" } else { "" }
        }
        Step::Run(run) => {
            let variables: Vec<String> = run
                .variables
                .iter()
                .map(|(name, value)| format!("{name}={value} "))
                .collect();
            let command = match &run.command {
                Ok(command) => command.join("|"),
                Err(because) => format!("({because})"),
            };
            format!(
                "{}@{}$ {}{command}",
                run.user,
                run.folder,
                variables.concat()
            )
        }
        Step::Unfollowed { sources, because } => {
            let sources: Vec<&str> = sources.iter().map(Source::as_str).collect();
            format!("? {}: {because}", sources.join(" "))
        }
    });
    steps.collect()
}

#[test]
fn copies_and_commands_are_read_in_order() {
    let text = "FROM node:20\nARG DIR=app\nENV PORT=1 ROOT=/srv/$DIR\nCOPY a ./b/ c/\nWORKDIR $ROOT\nCOPY --chown=1:2 --chmod=750 . .\n\
                RUN one && \\\n# comment\n  two\nUSER root\nSHELL [\"/bin/bash\", \"-c\"]\nRUN three\nRUN [\"four\", \"5 6\"]\nCOPY x \"/y\"\n";
    assert_eq!(
        short(&read(text, None)),
        [
            "a b > /usr/src/c/",
            " > /srv/given/ 1:2 750",
            "node@/srv/given$ DIR=given /bin/sh|-c|one &&   two",
            "root@/srv/given$ DIR=given /bin/bash|-c|three",
            "root@/srv/given$ DIR=given four|5 6",
            "x > /y",
        ]
    );
}

#[test]
fn stages_that_are_built_on_count_and_others_are_not_followed() {
    let text = "ARG IMAGE=node:20\nFROM $IMAGE AS base\nCOPY package.json .\nFROM alpine AS assets\nCOPY css css\nRUN make\n\
                FROM BASE\nCOPY --from=assets /out /out\nCOPY src src\n#livecmd-marker=1\nCMD x\nCOPY live live/\n";
    assert_eq!(
        short(&read(text, None)),
        [
            "? css: stage assets is made of it",
            "package.json > /usr/src/",
            "src > /usr/src/src",
            "live > /usr/src/live/ live",
        ]
    );
    assert_eq!(
        short(&read(text, Some("base"))),
        ["package.json > /usr/src/"]
    );
    assert_eq!(
        short(&read(text, Some("1"))),
        [
            "? package.json: stage base is made of it",
            "css > /css",
            "@/$ /bin/sh|-c|make",
        ]
    );
}

#[test]
fn a_stage_that_others_use_is_not_followed_for_them() {
    let text = "FROM a AS base\nCOPY src src\nFROM base AS build\nRUN make\nFROM base\nCOPY --from=build /out /out\n";
    assert_eq!(
        short(&read(text, None)),
        [
            "? src: stage build is made of it",
            "? src: stage 2 is made of it",
            "src > /src"
        ]
    );
    let text = "FROM a AS base\nCOPY src src\nFROM base\nCOPY --from=base /src /again\n";
    assert_eq!(
        short(&read(text, None)),
        ["? src: stage 1 is made of it", "src > /src"]
    );
}

#[test]
fn values_do_not_grow_without_bound() {
    let doubled: String = (0..60).map(|_| "ENV A=$A$A\n").collect();
    let text = format!("FROM a\nENV A=xx\n{doubled}COPY b $A\n");
    assert_eq!(
        short(&read(&text, None)),
        ["? b: where it is copied to is not known"]
    );
}

#[test]
fn what_is_not_certain_is_not_followed() {
    for (text, expected) in [
        (
            "COPY $UNKNOWN /a",
            "? : the names of a COPY of it are not known",
        ),
        ("COPY a $UNKNOWN", "? a: where it is copied to is not known"),
        (
            "COPY --parents a /b",
            "? a: it is copied with an option that is not followed",
        ),
        (
            "COPY --chmod=u+x a /b",
            "? a: its permissions are not known",
        ),
        ("WORKDIR $UNKNOWN", "? : a WORKDIR of it is not known"),
        ("ADD a.tar.gz /", "? a.tar.gz: ADD may unpack it"),
        ("ADD archive /", "? archive: ADD may unpack it"),
        ("ADD a.txt /", "? a.txt: ADD may unpack it"),
        ("ADD src/ /src", "src > /src"),
        (
            "RUN --mount=type=cache,target=/c make",
            "@/$ (it has mounts that are there in builds only)",
        ),
    ] {
        assert_eq!(
            short(&read(&format!("FROM a\n{text}\n"), None)),
            [expected],
            "{text}"
        );
    }
    let bound = short(&read("FROM a\nRUN --mount=target=/src make\n", None));
    assert_eq!(bound[0], "? : the whole context is used by a command of it");
    for (image, expected) in [
        ("hooked", "? : the image it starts from uses the context"),
        (
            "unknown",
            "? : nothing is known of the image it starts from",
        ),
    ] {
        assert_eq!(short(&read(&format!("FROM {image}\n"), None)), [expected]);
    }
    for text in [
        "ADD https://a.test/x.tar /",
        "COPY --from=b /a /a",
        "COPY <<E /a\ntext\nE",
    ] {
        assert!(
            short(&read(&format!("FROM a\n{text}\n"), None)).is_empty(),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_dockerfile_has_no_recipe() {
    let none = |_: &str| Some(Base::default());
    for (text, target) in [
        ("", None),
        ("COPY a b\n", None),
        ("FROM a\n", Some("b")),
        ("FROM a\n", Some("1")),
    ] {
        assert!(
            recipe(text, target, &BTreeMap::new(), &none).is_err(),
            "{text}"
        );
    }
}

#[test]
fn sources_name_parts_of_paths() {
    for (source, path, expected) in [
        (".", "a/b", Some(("", "a/b"))),
        ("./", "a", Some(("", "a"))),
        ("/a/", "a/b/c", Some(("a", "b/c"))),
        ("a/../b", "b", Some(("b", ""))),
        ("a", "ab", None),
        ("a/b", "a", None),
        ("*.js", "x.js", Some(("x.js", ""))),
        ("*.js", "d/x.js", None),
        ("*/x", "d/x/y", Some(("d/x", "y"))),
        ("a?[^b-d]", "axe", Some(("axe", ""))),
        ("a?[^b-d]", "axc", None),
        ("\\*", "*", Some(("*", ""))),
        ("\\*", "a", None),
        ("**", "a", Some(("a", ""))),
    ] {
        let source = Source::parse(source).unwrap();
        assert_eq!(source.split(path), expected, "{source:?} {path}");
    }
    assert_eq!(Source::parse("[a"), None);
    for (source, path, expected) in [
        ("a/b", "a", true),
        ("a/b", "a/b", true),
        ("a/b", "a/b/c", false),
        ("a/b", "b", false),
        ("a*/b", "ab", true),
        ("*", "a", true),
        (".", "a", false),
    ] {
        let source = Source::parse(source).unwrap();
        assert_eq!(source.leads_through(path), expected, "{source:?} {path}");
    }
}
