use proptest::prelude::*;

use super::*;

fn lookup(name: &str) -> Option<String> {
    match name {
        "SET" => Some("value".to_owned()),
        "EMPTY" => Some(String::new()),
        "DOLLAR" => Some("$SET ${SET}".to_owned()),
        _ => None,
    }
}

fn expanded(template: &str) -> String {
    match expand(template, &lookup) {
        Ok(Expanded { text, unset }) if unset.is_empty() => text,
        Ok(Expanded { text, unset }) => format!("{text} unset {unset:?}"),
        Err(error) => format!("error {error}"),
    }
}

#[test]
fn every_form() {
    for (template, expected) in [
        ("", ""),
        ("no variable", "no variable"),
        ("$SET", "value"),
        ("a$SET-b", "avalue-b"),
        ("${SET}s", "values"),
        ("$$SET", "$SET"),
        ("$${SET}", "${SET}"),
        ("$$$SET", "$value"),
        ("$DOLLAR", "$SET ${SET}"),
        ("$NONE.", ". unset {\"NONE\"}"),
        ("${NONE}$OTHER", " unset {\"NONE\", \"OTHER\"}"),
        ("${SET:-d}", "value"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NONE:-d}", "d"),
        ("${NONE-d}", "d"),
        ("${NONE:-}", ""),
        ("${NONE:-a b:c}", "a b:c"),
        ("${NONE:-${OTHER:-deep}}!", "deep!"),
        ("${NONE:-${SET}}", "value"),
        ("${NONE:-$SET and $$}", "value and $"),
        ("${NONE:-{}}", "{}"),
        ("${SET:?m}", "value"),
        ("${EMPTY?m}", ""),
        (
            "${EMPTY:?not empty}",
            "error the variable EMPTY must be set: not empty",
        ),
        ("${NONE?}", "error the variable NONE must be set"),
        (
            "${NONE:?see $SET}",
            "error the variable NONE must be set: see value",
        ),
        ("${SET:+r}", "r"),
        ("${EMPTY:+r}", ""),
        ("${EMPTY+r}", "r"),
        ("${NONE+r}", ""),
        ("${SET:-${NONE?boom}}", "value"),
        ("${SET:-$OTHER}", "value"),
    ] {
        assert_eq!(expanded(template), expected, "{template}");
    }
}

#[test]
fn what_is_no_variable_is_refused() {
    for template in [
        "$",
        "a$ b",
        "$1",
        "${",
        "${}",
        "${1A}",
        "${SET",
        "${SET:-x",
        "${SET!x}",
        "${SET :-x}",
        "${A:}",
        "$-",
        "${SET:-$}",
    ] {
        assert!(
            expanded(template).starts_with("error "),
            "{template}: {}",
            expanded(template)
        );
    }
}

#[test]
fn nesting_and_length_are_bounded() {
    let deep = "${A:-".repeat(MAX_DEPTH + 1) + &"}".repeat(MAX_DEPTH + 1);
    assert_eq!(expand(&deep, &lookup), Err(Invalid::TooDeep));
    let long = |_: &str| Some("x".repeat(1000));
    assert_eq!(expand(&"$A".repeat(2000), &long), Err(Invalid::TooLong));
}

proptest! {
    #[test]
    fn any_text_ends(text in "[$a-zA{}:?+ -]{0,80}") {
        let _outcome = expand(&text, &lookup);
    }

    #[test]
    fn a_text_without_dollar_stays(text in "[^$]{0,80}") {
        prop_assert_eq!(expand(&text, &lookup).unwrap().text, text);
    }

    #[test]
    fn a_doubled_dollar_is_one(text in "[^$]{0,20}") {
        let template = format!("{text}$${text}");
        prop_assert_eq!(expand(&template, &lookup).unwrap().text, format!("{text}${text}"));
    }
}
