use super::*;

fn list(raw: &[&str]) -> Vec<OsVersion> {
    let mut list: Vec<_> = raw
        .iter()
        .map(|raw| OsVersion::parse(raw).unwrap())
        .collect();
    list.sort_by(|one, other| other.cmp(one));
    list
}

fn chosen(versions: &[OsVersion], wanted: &str) -> Option<String> {
    let wanted: Wanted = wanted.parse().unwrap();
    choose(versions, &wanted).map(ToString::to_string)
}

#[test]
fn revisions_count_as_numbers_and_production_comes_before_development() {
    let sorted = list(&[
        "2.60.1+rev2.prod",
        "2.60.1+rev10.dev",
        "2.60.1",
        "6.5.0",
        "2.60.1+rev10.prod",
        "6.5.0-1732",
        "10.0.0",
    ]);
    let raw: Vec<_> = sorted.iter().map(OsVersion::raw).collect();
    let expected = [
        "10.0.0",
        "6.5.0",
        "6.5.0-1732",
        "2.60.1+rev10.prod",
        "2.60.1+rev10.dev",
        "2.60.1+rev2.prod",
        "2.60.1",
    ];
    assert_eq!(raw, expected);
}

#[test]
fn what_is_typed_means_one_version_at_most() {
    let versions = list(&[
        "7.0.0-3",
        "6.5.0+rev1",
        "6.4.2",
        "2.101.7",
        "2.60.1+rev1.prod",
        "2.60.1+rev1.dev",
        "2.60.0+rev3.prod",
    ]);
    for (typed, meant) in [
        ("latest", Some("6.5.0+rev1")),
        ("v6.4.2", Some("6.4.2")),
        ("6.5.0", Some("6.5.0+rev1")),
        ("2.60.1", Some("2.60.1+rev1.prod")),
        ("2.60.1+rev1", Some("2.60.1+rev1.prod")),
        ("2.60.1+rev1.dev", Some("2.60.1+rev1.dev")),
        ("2.60.1+rev9", None),
        ("^2.60.0", Some("2.101.7")),
        ("~2.60", Some("2.60.1+rev1.prod")),
        ("2.60.x", Some("2.60.1+rev1.prod")),
        (">=2.60 <2.100", Some("2.60.1+rev1.prod")),
        ("^3 || ^2.61", Some("2.101.7")),
        ("^9", None),
        (">= 6.0 < 6.5", Some("6.4.2")),
        ("2.60 - 2.61", Some("2.60.1+rev1.prod")),
        // What is not released yet has to be named.
        ("7.0.0-3", Some("7.0.0-3")),
        ("^7", None),
    ] {
        assert_eq!(chosen(&versions, typed).as_deref(), meant, "{typed}");
    }
    for typed in [
        "",
        "newest",
        "6.5.0 or so",
        "^",
        "|| 2",
        "2 >=",
        "- 2",
        ">1 - 2",
    ] {
        let wrong = typed.parse::<Wanted>().unwrap_err();
        assert!(wrong.to_string().contains("latest"), "{typed}");
    }
}

/// As the API of an openBalena 49 answers, with more in it.
const RECORDED: &str = r#"{"d":[
  {"application_tag":[],"is_for__device_type":[{"slug":"x"}],"owns__release":[
    {"release_tag":[{"tag_key":"version","value":"6.5.0"}],"id":2,"known_issue_list":null,"raw_version":"6.5.0","variant":"","phase":null},
    {"release_tag":[{"tag_key":"version","value":"2.48.0+rev1"},{"tag_key":"variant","value":"production"}],"id":1,"raw_version":"0.0.0-1599"},
    {"release_tag":[],"id":3,"raw_version":"6.6.0-17","is_final":false},
    {"release_tag":[],"id":4,"raw_version":"nonsense"}]},
  {"application_tag":[{"tag_key":"release-policy","value":"esr"},{"tag_key":"esr-next","value":"2026.7.x"},{"tag_key":"esr-current","value":"2026.4.x"}],
   "owns__release":[{"raw_version":"2026.7.0"},{"raw_version":"2026.4.1"},{"raw_version":"2026.1.0"}]}]}"#;

#[test]
fn an_answer_of_the_api_is_read_with_what_its_tags_say() {
    let versions = versions(RECORDED.as_bytes()).unwrap();
    let told: Vec<_> = versions
        .iter()
        .map(|version| {
            (
                version.raw(),
                version.is_esr,
                version.line,
                version.is_draft,
            )
        })
        .collect();
    let expected = [
        ("2026.7.0", true, Some(Line::Next), false),
        ("2026.4.1", true, Some(Line::Current), false),
        ("2026.1.0", true, None, false),
        ("6.6.0-17", false, None, true),
        ("6.5.0", false, None, false),
        ("2.48.0+rev1.prod", false, None, false),
    ];
    assert_eq!(told, expected);
    assert_eq!(chosen(&versions, "latest").unwrap(), "6.5.0");
    assert_eq!(chosen(&versions, "esr").unwrap(), "2026.4.1");
    assert_eq!(chosen(&versions, "2026.1.0").unwrap(), "2026.1.0");
    assert_eq!(chosen(&versions, ">=2").unwrap(), "6.5.0");
    assert_eq!(super::versions(b"<html>"), None);
}

#[test]
fn a_slug_cannot_say_more_than_it_is() {
    let path = path("x' or 'y' eq 'y", true);
    assert!(
        path.contains("%27x%27%27%20or%20%27%27y%27%27%20eq%20%27%27y%27"),
        "{path}"
    );
    assert!(!path.contains(' '), "{path}");
}

#[test]
fn where_all_are_numbered_as_what_comes_before_the_newest_is_the_latest() {
    let versions = list(&["1.2.4-200", "1.2.4-199"]);
    assert_eq!(chosen(&versions, "latest").as_deref(), Some("1.2.4-200"));
}

#[test]
fn a_draft_is_not_chosen_where_there_is_a_release() {
    let mut versions = list(&["6.5.0+rev3", "6.5.0+rev2", "6.6.0+rev1"]);
    for version in &mut versions {
        version.is_draft = version.raw() != "6.5.0+rev2";
    }
    for (typed, meant) in [
        ("6.5.0", "6.5.0+rev2"),
        ("6.5.0+rev3", "6.5.0+rev3"),
        ("6.6.0", "6.6.0+rev1"),
        ("latest", "6.5.0+rev2"),
    ] {
        assert_eq!(chosen(&versions, typed).unwrap(), meant, "{typed}");
    }
}
