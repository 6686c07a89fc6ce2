use std::collections::BTreeMap;

use super::*;
use crate::env::Terminal;

struct Home(tempfile::TempDir);

impl Home {
    fn with(files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        Self(home)
    }

    fn account(
        &self,
        variables: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<Option<Account>, AccountError> {
        self.account_of(variables, file, None)
    }

    fn account_of(
        &self,
        variables: &[(&str, &str)],
        file: Option<&str>,
        cloud: Option<Domain>,
    ) -> Result<Option<Account>, AccountError> {
        let home = ("HOME", self.0.path().to_str().unwrap());
        let variables: BTreeMap<String, String> = variables
            .iter()
            .chain([&home])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let environment = Environment {
            args: Vec::new(),
            program: None,
            paths: Paths::from_variables(&variables),
            variables,
            current_dir: self.0.path().join("project"),
            terminal: Terminal::default(),
        };
        let named = file.map(|file| token_in(&environment.current_dir, Path::new(file)));
        Account::of(&environment, named.transpose()?, cloud)
    }

    /// Cloud and token.
    fn pair(&self, variables: &[(&str, &str)], file: Option<&str>) -> Option<(String, String)> {
        let account = self.account(variables, file).unwrap()?;
        let token = account.token().text().to_owned();
        Some((account.domain.to_string(), token))
    }
}

fn pair(domain: &str, token: &str) -> (String, String) {
    (domain.to_owned(), token.to_owned())
}

#[test]
fn an_account_is_found_where_the_reference_keeps_it() {
    let home = Home::with(&[(".balena/token", "kept\n")]);
    assert_eq!(home.pair(&[], None), Some(pair(USUAL, "kept")));
    assert_eq!(
        home.pair(&[(BALENARC_BALENA_URL, "own.test")], None),
        Some(pair("own.test", "kept"))
    );
    let home = Home::with(&[
        (".resinrc.yml", "balenaUrl: old.test\n"),
        (
            ".balenarc.yml",
            "balenaUrl: own.test\ndataDirectory: /nowhere\n",
        ),
        ("other/token", "moved"),
    ]);
    assert_eq!(home.pair(&[], None), None);
    let moved = home.0.path().join("other");
    let moved = (BALENARC_DATA_DIRECTORY, moved.to_str().unwrap());
    assert_eq!(home.pair(&[moved], None), Some(pair("own.test", "moved")));
    assert_eq!(Home::with(&[]).pair(&[], None), None);
}

#[test]
fn a_token_is_for_the_cloud_that_it_came_with_and_for_no_other() {
    let home = Home::with(&[
        (".balena/token", "kept"),
        // A project must not decide where tokens go.
        ("project/balenarc.yml", "balenaUrl: evil.test\n"),
    ]);
    assert_eq!(home.pair(&[], None), Some(pair(USUAL, "kept")));
    let other = (OSCLI_CLOUD, "other.test");
    assert_eq!(home.pair(&[other], None), None);
    assert_eq!(
        home.pair(&[(OSCLI_CLOUD, USUAL)], None),
        Some(pair(USUAL, "kept"))
    );
    let given = (OSCLI_TOKEN, "given");
    assert_eq!(
        home.pair(&[other, given], None),
        Some(pair("other.test", "given"))
    );
    // Which cloud the token is for cannot be told.
    let home = Home::with(&[(".balena/token", "kept"), (".balenarc.yml", "balenaUrl: [")]);
    let error = home.account(&[], None).unwrap_err();
    assert!(matches!(error, AccountError::Settings { .. }), "{error}");
    assert_eq!(
        home.pair(&[other, given], None),
        Some(pair("other.test", "given"))
    );
}

#[test]
fn the_kept_token_of_a_cloud_that_nobody_names_is_told_from_others() {
    let home = Home::with(&[(".balena/token", "kept")]);
    let is_unnamed = |variables: &[(&str, &str)]| {
        let account = home.account(variables, None).unwrap().unwrap();
        account.is_unnamed
    };
    assert!(is_unnamed(&[]));
    // A context that was made for the usual cloud, with the token of a variable perhaps.
    let usual = Domain::parse(USUAL).unwrap();
    let of_before = home.account_of(&[], None, Some(usual)).unwrap().unwrap();
    assert!(of_before.is_unnamed);
    for named in [
        (OSCLI_CLOUD, USUAL),
        (BALENARC_BALENA_URL, USUAL),
        (OSCLI_TOKEN, "given"),
    ] {
        assert!(!is_unnamed(&[named]), "{named:?}");
    }
    let named = Home::with(&[
        (".balena/token", "kept"),
        (".balenarc.yml", "balenaUrl: own.test\n"),
    ]);
    assert!(!named.account(&[], None).unwrap().unwrap().is_unnamed);
}

#[test]
fn authorities_of_the_environment_stand_in_a_value() {
    let home = Home::with(&[(".balena/token", "kept")]);
    let account = home.account(
        &[
            (SSL_CERT_FILE, "ca.pem"),
            (SSL_CERT_DIR, "/a::/b"),
            // The reference's client goes on without it.
            (NODE_EXTRA_CA_CERTS, "/nowhere/ca.pem"),
        ],
        None,
    );
    let authorities = account.unwrap().unwrap().authorities;
    assert_eq!(authorities.further, None);
    assert_eq!(authorities.file, Some(home.0.path().join("project/ca.pem")));
    let folders = ["/a", "/b"].map(PathBuf::from);
    assert_eq!(authorities.folders, folders);
}

#[test]
fn what_was_named_goes_before_and_is_not_repeated_where_it_is_wrong() {
    let home = Home::with(&[("project/own", "named"), (".balena/token", "two words")]);
    let given = (OSCLI_TOKEN, "given");
    assert_eq!(home.pair(&[given], Some("own")), Some(pair(USUAL, "named")));
    assert_eq!(home.pair(&[given], None), Some(pair(USUAL, "given")));
    for (variables, file) in [
        (&[][..], None),
        (&[(OSCLI_TOKEN, "two words")], None),
        (&[], Some("none")),
    ] {
        let error = home.account(variables, file).unwrap_err();
        assert!(!format!("{error:?}").contains("two words"), "{error:?}");
    }
}

#[test]
fn a_domain_is_a_name() {
    let parsed = |text| Domain::parse(text).map(|domain| domain.to_string());
    for text in ["Own.test", "https://own.test/"] {
        assert_eq!(parsed(text).unwrap(), "own.test", "{text}");
    }
    let long = "a.".repeat(130);
    for text in [
        "",
        "http://own.test",
        "own.test:8443",
        "a@b",
        "a/b",
        ".test",
        "-a.test",
        "a b",
        &long,
    ] {
        assert!(parsed(text).is_err(), "{text}");
    }
}

#[test]
fn a_file_of_a_token_is_named_by_its_path() {
    let home = Home::with(&[("project/token", "abc"), ("project/file:own", "own")]);
    assert_eq!(home.pair(&[], Some("token")), Some(pair(USUAL, "abc")));
    assert_eq!(home.pair(&[], Some("file:own")), Some(pair(USUAL, "own")));
    for typed in ["file:token", "file:///token"] {
        let refused = home.account(&[], Some(typed)).unwrap_err();
        assert!(matches!(refused, AccountError::Address(_)), "{refused}");
    }
}
