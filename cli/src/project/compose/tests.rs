use proptest::prelude::*;

use super::*;

fn read_text_of(text: &str, overlay: Option<&str>) -> Result<Composition, Problems> {
    let mut files = vec![(PathBuf::from("/nonexistent/compose.yml"), text.to_owned())];
    files.extend(overlay.map(|text| {
        (
            PathBuf::from("/nonexistent/compose.dev.yml"),
            text.to_owned(),
        )
    }));
    let environment = BTreeMap::from([("SET".to_owned(), "1".to_owned())]);
    let root = Path::new("/nonexistent");
    read(&Request {
        root,
        files: &files,
        environment: &environment,
        profiles: &[],
    })
}

#[test]
fn a_file_over_itself_is_itself() {
    let text = "services:\n  a:\n    image: x\n    command: [a]\n    ports: [80, '81:81', {target: 82}]\n    \
                volumes: [v:/v, {type: tmpfs, target: /t}]\n    environment: {A: 1}\n    dns: 1.1.1.1\n    \
                cap_add: [CHOWN]\n    devices: [/dev/a]\n    extra_hosts: [a=1.1.1.1]\n    ulimits: {core: 1}\n    \
                networks: [n]\n    depends_on: [b]\n  b: {image: y}\nvolumes: {v: }\nnetworks: {n: }\n";
    assert_eq!(
        read_text_of(text, Some(text)).unwrap(),
        read_text_of(text, None).unwrap()
    );
}

#[test]
fn names_that_begin_like_extensions_are_services() {
    let read = read_text_of("services: {x-web: {image: x}}\n", None).unwrap();
    assert_eq!(read.services[0].name, "x-web");
}

#[test]
fn two_limits_of_the_processor_are_refused_where_the_second_stands() {
    let both = "services:\n  a:\n    image: x\n    cpus: 0.5\n    cpu_quota: 50000\n";
    let Problems(found) = read_text_of(both, None).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].line, 5, "{found:?}");
    assert!(found[0].message.contains("cpu_quota cannot stand beside"));
    let one = both.replace("50000", "0");
    assert!(read_text_of(&one, None).is_ok(), "without a limit");
}

#[test]
fn a_long_chain_of_services_needs_no_deep_stack() {
    let service = |n: usize| format!("  s{n}: {{image: x, depends_on: [s{}]}}\n", n + 1);
    let chain: Vec<String> = (0..5000).map(service).collect();
    let text = format!("services:\n{}  s5000: {{image: x}}\n", chain.concat());
    // They are more than a device takes, which is found out behind the whole way.
    let Problems(found) = read_text_of(&text, None).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.contains("services has 5001 entries"));
    let circle = text.replace("s5000: {image: x}", "s5000: {image: x, depends_on: [s0]}");
    let problems = read_text_of(&circle, None).unwrap_err();
    assert!(problems.to_string().contains("in a circle"));
}

#[test]
fn a_long_chain_of_extends_is_refused() {
    let service = |n: usize| format!("  s{n}: {{image: x, extends: s{}}}\n", n + 1);
    let text = format!(
        "services:\n{}  s100: {{image: x}}\n",
        (0..100).map(service).collect::<Vec<_>>().concat()
    );
    let problems = read_text_of(&text, None).unwrap_err();
    assert!(
        problems.to_string().contains("over more than 32 steps"),
        "{problems}"
    );
}

#[test]
fn the_largest_file_is_read_in_one_go() {
    let variables: Vec<String> = (0..45_000).map(|n| format!("      - A{n}=")).collect();
    let text = format!(
        "services:\n  a:\n    image: x\n    environment:\n{}\n",
        variables.join("\n")
    );
    let Problems(found) = read_text_of(&text, Some(&text)).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].message,
        "services.a.environment has 45000 entries: a device takes 1024"
    );
}

#[test]
fn as_much_as_a_device_takes_is_let_pass() {
    let entries = |count: usize, entry: fn(usize) -> String| -> String {
        (0..count).map(entry).collect::<Vec<_>>().join(", ")
    };
    let text = |variables: usize, words: usize, ports: usize| {
        format!(
            "services:\n  a:\n    image: x\n    environment: {{{}}}\n    command: [{}]\n    \
             ports: ['1-{ports}:1-{ports}']\n    user: {}\n",
            entries(variables, |n| format!("A{n}: ''")),
            entries(words, |_| "a".to_owned()),
            "x".repeat(agent_api::compose::MAX_TEXT),
        )
    };
    let read = read_text_of(&text(1024, 1024, 4096), None).unwrap();
    let ports = &read.services[0].composition["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 4096);
    for (variables, words, ports) in [(1025, 1, 1), (1, 1025, 1), (1, 1, 4097)] {
        assert!(read_text_of(&text(variables, words, ports), None).is_err());
    }
}

#[test]
fn mistakes_are_counted_up_to_a_bound() {
    let service = |n: usize| format!("  s{n}: {{}}\n");
    let text = format!(
        "services:\n{}",
        (0..500).map(service).collect::<Vec<_>>().concat()
    );
    assert_eq!(read_text_of(&text, None).unwrap_err().0.len(), 50);
}

/// Text that looks enough like a compose file to get past the first steps.
fn plausible() -> impl Strategy<Value = String> {
    let keys: Vec<&'static str> = keys::SERVICE.iter().map(|(key, _)| *key).collect();
    let values = prop::sample::select(vec![
        "x",
        "1",
        "-1",
        "1.5",
        "true",
        "[]",
        "{}",
        "[x]",
        "{x: y}",
        "[a=b, c]",
        "{a: 1, b: }",
        "\"80:80\"",
        "[80, \"1-2:3-4\"]",
        "[a:/b:ro]",
        "/x",
        "[{target: 1}]",
        "10s",
        "64m",
        "service:a",
        "host",
        "$SET",
        "${SET:-x}",
        "$$",
        "!reset null",
        "!override [x]",
        "b",
        "[b]",
        "{b: {condition: service_started}}",
        "{file: x, service: y}",
        "",
        "[[]]",
        "[{}]",
        "\"\"",
    ]);
    let entry = (prop::sample::select(keys), values)
        .prop_map(|(key, value)| format!("    {key}: {value}\n"));
    let service = prop::collection::btree_set(entry, 0..8)
        .prop_map(|entries| entries.into_iter().collect::<String>());
    (service.clone(), service).prop_map(|(a, b)| {
        format!("services:\n  a:\n{a}  b:\n{b}networks: {{x: }}\nvolumes: {{x: }}\n")
    })
}

proptest! {
    #[test]
    fn any_plausible_file_ends(text in plausible(), overlay in prop::option::of(plausible())) {
        if let Err(problems) = read_text_of(&text, overlay.as_deref()) {
            prop_assert!(!problems.0.is_empty());
            for problem in &problems.0 {
                prop_assert!(problem.line > 0 && problem.column > 0, "{problem}");
                prop_assert!(!problem.file.as_os_str().is_empty(), "{problem}");
            }
        }
    }

    #[test]
    fn any_text_ends(text in "[a-z:{}\\[\\],$!&*<\n \"'-]{0,120}") {
        let _outcome = read_text_of(&text, None);
    }
}
