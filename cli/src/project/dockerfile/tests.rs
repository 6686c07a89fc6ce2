use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Dockerfile, DockerfileError, DockerfileRequest, facts, find};
use crate::project::template::Values;

type Files<'a> = &'a [(&'a str, &'a [u8])];

fn folder(files: Files<'_>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    folder
}

fn look(
    folder: &tempfile::TempDir,
    named: Option<&str>,
) -> Result<(String, Dockerfile), DockerfileError> {
    let found = find(&DockerfileRequest {
        context: folder.path(),
        named,
        values: Values {
            device_type: "raspberrypi4-64",
            arch: "aarch64",
            service: "web",
        },
    })?;
    let name = found.path.strip_prefix(folder.path()).unwrap();
    Ok((name.display().to_string(), found))
}

#[test]
fn the_one_that_fits_the_device_best_is_taken() {
    let names = [
        "Dockerfile.raspberrypi4-64",
        "Dockerfile.aarch64",
        "Dockerfile.template",
        "Dockerfile",
    ];
    for first in 0..names.len() {
        let files: Vec<_> = names[first..]
            .iter()
            .map(|name| (*name, b"FROM a\n".as_slice()))
            .collect();
        let folder = folder(&files);
        // Another device's variant, and a folder of the right name, are none.
        fs_err::write(folder.path().join("Dockerfile.amd64"), "").unwrap();
        if first > 0 {
            fs_err::create_dir(folder.path().join(names[0])).unwrap();
        }
        assert_eq!(look(&folder, None).unwrap().0, names[first]);
    }
}

#[test]
fn variables_are_replaced_in_templates_and_variants_only() {
    let text = b"FROM x-%%BALENA_ARCH%%\n".as_slice();
    let names = [
        "Dockerfile.raspberrypi4-64",
        "Dockerfile.aarch64",
        "Dockerfile.template",
    ];
    for name in names {
        let (_, found) = look(&folder(&[(name, text)]), None).unwrap();
        assert_eq!(
            (found.text.as_str(), found.changed),
            ("FROM x-aarch64\n", true),
            "{name}"
        );
    }
    let plain = folder(&[
        ("Dockerfile", text),
        ("a.b/prod.template", text),
        ("a.b/Dockerfile.aarch64", text),
    ]);
    for named in [None, Some("Dockerfile"), Some("a.b/Dockerfile.aarch64")] {
        let (_, found) = look(&plain, named).unwrap();
        assert_eq!(
            (found.text.as_bytes(), found.changed),
            (text, false),
            "{named:?}"
        );
    }
    let (name, found) = look(&plain, Some("a.b/prod.template")).unwrap();
    assert_eq!(
        (name.as_str(), found.text.as_str()),
        ("a.b/prod.template", "FROM x-aarch64\n")
    );
}

#[test]
fn what_is_wrong_names_the_file() {
    let cases: [(Files<'_>, Option<&str>, &str); 5] = [
        (
            &[],
            None,
            "service web has no Dockerfile: looked for Dockerfile.raspberrypi4-64, Dockerfile.aarch64, Dockerfile.template, Dockerfile in /",
        ),
        (
            &[],
            Some("x/Dockerfile"),
            "x/Dockerfile of service web does not exist",
        ),
        (&[("d/x", b"")], Some("d"), "is not a file"),
        (
            &[("Dockerfile", b"FROM \xff")],
            None,
            "Dockerfile is not UTF-8 text",
        ),
        (
            &[("Dockerfile.template", b"FROM a\nRUN %%NO_SUCH%%\n")],
            None,
            "Dockerfile.template",
        ),
    ];
    for (files, named, expected) in cases {
        let error = look(&folder(files), named).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        if let DockerfileError::Variable { source, .. } = error {
            assert_eq!(source.line, 2);
        }
    }
}

fn images(text: &str, arguments: &[(&str, &str)]) -> Vec<String> {
    let arguments: BTreeMap<_, _> = arguments
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    facts(text, &arguments).images
}

#[test]
fn images_are_found_through_stages_and_arguments() {
    let text = "ARG BASE=debian:12\nARG TAG\nARG \"Q=x\"\n\
                FROM ${BASE} AS build\n\
                ARG BASE=other\n\
                COPY --from=tools:1 /a /b\n\
                FROM --platform=linux/arm64 alpine:${TAG:-3} AS Next\n\
                COPY --from=build /a /b\nCOPY --from=0 /a /b\nCOPY --from=next /x /y\n\
                FROM $BASE\nFROM scratch\nFROM build\nFROM $UNKNOWN\nFROM x${TAG:+-set}\n";
    assert_eq!(images(text, &[]), ["debian:12", "tools:1", "alpine:3", "x"]);
    assert_eq!(
        images(text, &[("BASE", "b"), ("TAG", "4")]),
        ["b", "tools:1", "alpine:4", "x-set"]
    );
}

#[test]
fn what_is_not_understood_is_doubted_with_its_line_and_not_refused() {
    let known = facts("FROM a\nRUN <<EOF\necho\nEOF\n", &BTreeMap::new());
    assert_eq!(
        (known.images.as_slice(), known.doubt),
        (["a".to_owned()].as_slice(), None)
    );
    let odd = facts("FROM a\n\nMAGIC x\nFROM b\n", &BTreeMap::new());
    assert_eq!(odd.images, ["a"]);
    let (line, reason) = odd.doubt.unwrap();
    assert_eq!(line, 3);
    assert!(reason.contains("MAGIC"), "{reason}");
    // An empty file has no line of its own.
    let (line, reason) = facts("", &BTreeMap::new()).doubt.unwrap();
    assert_eq!(line, 1, "{reason}");
    assert_eq!(facts("\u{feff}FROM a\n", &BTreeMap::new()).images, ["a"]);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(FROM |ARG |COPY --from=|RUN <<E|\\$|\\{|\\}|:-|:\\+|a|=|\n|\\\\|\"|'|#|é){0,30}") {
        facts(&text, &BTreeMap::new());
    }
}
