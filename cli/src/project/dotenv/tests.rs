use proptest::prelude::*;

use super::*;

fn read(text: &str) -> String {
    let lookup = |name: &str| (name == "OUTSIDE").then(|| "out".to_owned());
    match parse_with(text, &lookup) {
        Ok(found) => found
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => format!("error {error}"),
    }
}

#[test]
fn every_form() {
    for (text, expected) in [
        ("", ""),
        ("# only a comment", ""),
        ("A=1", "A=\"1\""),
        ("A=1\nB=2\n", "A=\"1\" B=\"2\""),
        ("\u{feff}A=1\r\nB=2\r\n", "A=\"1\" B=\"2\""),
        ("  A = 1  \n", "A=\"1\""),
        ("A=", "A=\"\""),
        ("A= # nothing", "A=\"\""),
        ("A=a b # c", "A=\"a b\""),
        ("A=a#b", "A=\"a#b\""),
        ("A: yaml", "A=\"yaml\""),
        ("export A=1", "A=\"1\""),
        ("export=1", "export=\"1\""),
        ("A='a $B # \\n'", "A=\"a $B # \\\\n\""),
        ("A='it\\'s'", "A=\"it's\""),
        ("A=\"x\\ny\\t\\\"z\\\"\" # c", "A=\"x\\ny\\t\\\"z\\\"\""),
        ("A=\"l1\nl2\"\nB=2", "A=\"l1\\nl2\" B=\"2\""),
        ("A=\"\\b\\f\"", "A=\"\\u{8}\\u{c}\""),
        ("A=\"\\$B \\\\ \\q\"", "A=\"$B \\\\ \\\\q\""),
        ("A=1\nB=${A}2$A", "A=\"1\" B=\"121\""),
        ("A=$OUTSIDE", "A=\"out\""),
        ("OUTSIDE\nNOWHERE\n", "OUTSIDE=\"out\""),
        ("A=${X:-d}", "A=\"d\""),
        ("a.b-c=1", "a.b-c=\"1\""),
        ("A=1\nA=2", "A=\"1\" A=\"2\""),
        ("A=x=y", "A=\"x=y\""),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
}

#[test]
fn mistakes_name_their_place() {
    for (text, expected) in [
        ("A=1\n=2", "error 2:1: a variable's name is expected here"),
        ("A B=1", "error 1:3: unexpected 'B' after the name A"),
        ("A=1\nB=\"x\ny", "error 2:3: this quote is never closed"),
        (
            "A='x' y",
            "error 1:6: unexpected text after the closing quote",
        ),
    ] {
        assert_eq!(read(text), expected, "{text:?}");
    }
    assert!(read("A=1\nB=a$").starts_with("error 2:3: "));
    assert!(parse(&"A".repeat(MAX_BYTES + 1)).is_err());
}

#[test]
fn expansion_cannot_multiply_a_small_file() {
    let doubled = |level: usize| format!("A{level}=$A{0}$A{0}", level - 1);
    let lines: Vec<_> = std::iter::once("A0=xxxxxxxxxxxxxxxx".to_owned())
        .chain((1..40).map(doubled))
        .collect();
    let text = lines.join("\n");
    assert!(parse(&text).is_err());
}

proptest! {
    #[test]
    fn any_text_ends(text in "[A-Ca-z=:#'\"$\\\\{}\n\r -]{0,100}") {
        let _outcome = parse(&text);
    }

    #[test]
    fn single_quotes_keep_everything(value in "[^'\\\\\r]{0,60}") {
        let found = parse(&format!("A='{value}'")).unwrap();
        prop_assert_eq!(found, vec![("A".to_owned(), value)]);
    }
}
