use proptest::prelude::*;

use super::*;

/// A tree as one line, to compare by eye.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::Int(value) => format!("{value}i"),
            Kind::Float(value) => format!("{value}f"),
            Kind::Text => format!("{:?}", scalar.text),
        },
        Value::List(items) => format!(
            "[{}]",
            items.iter().map(shown).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|e| format!("{}: {}", e.key, shown(&e.value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn read(text: &str) -> String {
    match parse(text) {
        Ok(node) => shown(&node),
        Err(error) => format!("error {error}"),
    }
}

#[test]
fn scalars_are_read_as_compose_reads_them() {
    for (text, expected) in [
        ("yes", "\"yes\""),
        ("no", "\"no\""),
        ("on", "\"on\""),
        ("y", "\"y\""),
        ("true", "true"),
        ("FALSE", "false"),
        ("tRUE", "\"tRUE\""),
        ("~", "null"),
        ("Null", "null"),
        ("", "null"),
        ("012", "10i"),
        ("0o17", "15i"),
        ("0x1F", "31i"),
        ("0b11", "3i"),
        ("08", "8f"),
        ("-7", "-7i"),
        ("+7", "7i"),
        ("1_000", "1000i"),
        ("1.10", "1.1f"),
        ("1e3", "1000f"),
        (".5", "0.5f"),
        (".", "\".\""),
        ("-", "[null]"),
        ("1.2.3", "\"1.2.3\""),
        ("12:30:45", "\"12:30:45\""),
        ("0x", "\"0x\""),
        ("9223372036854775808", "9223372036854776000f"),
        ("-9223372036854775808", "-9223372036854775808i"),
        ("2020-01-01", "\"2020-01-01\""),
        ("'012'", "\"012\""),
        ("!!str 012", "\"012\""),
        ("!!int \"12\"", "12i"),
        ("inf", "\"inf\""),
        (".inf", "inff"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn the_written_text_is_kept() {
    let node = parse("v: 1.10").unwrap();
    assert_eq!(node.get("v").unwrap().scalar().unwrap().text, "1.10");
}

#[test]
fn places_are_lines_and_columns_of_the_file() {
    let node = parse("\u{feff}a:\r\n  b: [x, yy]\r\n").unwrap();
    let entry = node.get("a").unwrap().entry("b").unwrap();
    assert_eq!((entry.at.line, entry.at.column, entry.at.length), (2, 3, 1));
    let Value::List(items) = &entry.value.value else {
        panic!("a list")
    };
    assert_eq!(
        (items[1].at.line, items[1].at.column, items[1].at.length),
        (2, 10, 2)
    );
}

#[test]
fn aliases_and_merge_keys_are_resolved() {
    let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\nd: {<<: *b}\ne: *a\nf: {'<<': 1}\n";
    assert_eq!(
        read(text),
        "{a: {x: 1i, y: 2i}, b: {y: 3i, z: 4i}, c: {x: 9i, y: 2i, z: 4i}, d: {y: 3i, z: 4i}, e: {x: 1i, y: 2i}, f: {<<: 1i}}"
    );
}

#[test]
fn mistakes_name_their_place() {
    for (text, expected) in [
        (
            "a: 1\nb: 2\na: 3\n",
            "error 3:1: the key a is already given in line 1",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "error 2:1: a second document starts here",
        ),
        (
            "a: &x [*x]\n",
            "error 1:8: the alias stands inside the very value that it names",
        ),
        (
            "<<: 3\n",
            "error 1:5: << takes a map or a list of maps, not a number",
        ),
        ("{[1]: 2}", "error 1:2: a key must be a word, not a list"),
        ("a: !env x\n", "error 1:4: the tag !env has no meaning here"),
        (
            "a: !!int x\n",
            "error 1:4: \"x\" is not a whole number, as its tag says",
        ),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    // The end of a text without a last line end is on its last line.
    for (text, place) in [
        ("a: [1", "1:6"),
        ("a: 1\r\nb: [\u{e4}", "2:6"),
        ("a: [1\n", "2:1"),
    ] {
        let said = read(text);
        assert!(said.starts_with(&format!("error {place}: ")), "{said}");
    }
    assert_eq!(parse("---").unwrap().at.line, 1);
    for text in [
        "a: [1, 2\n",
        "a: 'x\n",
        "a:\n\tb: 1\n",
        "a: *nope\n",
        "a: b: c\n",
        "}",
        "\"\\q\"",
    ] {
        assert!(read(text).starts_with("error "), "{text}: {}", read(text));
    }
}

#[test]
fn an_alias_bomb_is_refused() {
    let tenfold = |level: usize| {
        let before = format!("*a{}", level - 1);
        format!("a{level}: &a{level} [{}]", vec![before; 10].join(", "))
    };
    let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned();
    let lines: Vec<_> = std::iter::once(first).chain((1..12).map(tenfold)).collect();
    let text = lines.join("\n");
    assert!(
        read(&text).contains("once aliases are resolved"),
        "{}",
        read(&text)
    );
}

#[test]
fn depth_and_size_are_bounded() {
    assert!(read(&"[".repeat(MAX_DEPTH + 1)).contains("nested deeper"));
    let text = "a:\n".to_owned() + &"- x\n".repeat(MAX_NODES + 1);
    assert!(read(&text).contains("more than"));
    assert!(read(&" ".repeat(MAX_BYTES + 1)).contains("larger than"));
}

proptest! {
    #[test]
    fn any_text_ends_in_a_tree_or_a_mistake(text in "[ -~\n\r\tä\u{feff}&*!<>|{}\\[\\]:,#'\"-]{0,200}") {
        let _outcome = parse(&text);
    }

    #[test]
    fn any_characters_end_in_a_tree_or_a_mistake(text in any::<String>()) {
        let _outcome = parse(&text);
    }
}
