//! Who asks a cloud that lets in whoever comes, as far as it does.

use std::path::Path;

use super::account::{
    Account, AccountError, Domain, Reference, authorities, domain, proxies, token_in,
};
use crate::{
    env::{Environment, OSCLI_CLOUD, OSCLI_TOKEN},
    transport::{Authorities, Proxies, cloud_tunnel::Token},
};

/// A cloud, and the token that is for it, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The cloud.
    pub domain: Domain,
    /// Who vouches for it.
    pub authorities: Authorities,
    /// By which it is reached, where it is not itself.
    pub proxies: Proxies,
    pub(super) token: Option<Token>,
}

impl Guest {
    /// The account of a person, or the cloud that is meant where there is none. A token that may be another cloud's stays here. One that nobody
    /// named, but the reference's client keeps, is not needed: why it cannot be read is told beside.
    ///
    /// # Errors
    /// [`AccountError`] when something was given that says nothing, or which cloud is meant is not known.
    pub fn of(
        environment: &Environment,
        token_file: Option<&Path>,
    ) -> Result<(Self, Option<AccountError>), AccountError> {
        let named = token_file.map(|path| token_in(&environment.current_dir, path));
        let named = named.transpose()?;
        let is_given = named.is_some() || environment.variable(OSCLI_TOKEN).is_some();
        let unread = match Account::of(environment, named, None) {
            Ok(Some(account)) => return Ok((account.into(), None)),
            Ok(None) => None,
            Err(error) if is_given => return Err(error),
            Err(error) => Some(error),
        };
        Ok((Self::nobody(environment)?, unread))
    }

    /// The same for what only that cloud has, which is wanted then: there goes the token that the reference's client keeps, too, whether or
    /// not somebody has named the cloud; the second one says that nobody has. `token` is that of a file that was named.
    ///
    /// # Errors
    /// [`AccountError`] when something says nothing.
    pub fn wanted(
        environment: &Environment,
        token: Option<Token>,
    ) -> Result<(Self, bool), AccountError> {
        let Some(account) = Account::of(environment, token, None)? else {
            return Ok((Self::nobody(environment)?, false));
        };
        let guest = Self {
            domain: account.domain,
            authorities: account.authorities,
            proxies: account.proxies,
            token: Some(account.token),
        };
        Ok((guest, account.is_unnamed))
    }

    /// Somebody without a token, at the cloud that is meant.
    fn nobody(environment: &Environment) -> Result<Self, AccountError> {
        let domain = match environment.variable(OSCLI_CLOUD) {
            Some(text) => domain(text, OSCLI_CLOUD)?,
            None => Reference::of(environment)?.domain,
        };
        Ok(Self {
            domain,
            authorities: authorities(environment),
            proxies: proxies(environment),
            token: None,
        })
    }
}

impl From<Account> for Guest {
    fn from(account: Account) -> Self {
        Self {
            domain: account.domain,
            authorities: account.authorities,
            proxies: account.proxies,
            token: Some(account.token).filter(|_| !account.is_unnamed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::env::{Paths, Terminal};

    fn in_home(home: &Path, variables: BTreeMap<String, String>) -> Environment {
        Environment {
            args: Vec::new(),
            program: None,
            paths: Paths::from_variables(&variables),
            variables,
            current_dir: home.to_owned(),
            terminal: Terminal::default(),
        }
    }

    /// The domain, whether there is a token, and why not.
    fn guest(
        files: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<(String, bool, Option<String>), String> {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        let own = ("HOME", home.path().to_str().unwrap());
        let variables: BTreeMap<String, String> = variables
            .iter()
            .chain([&own])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let environment = in_home(home.path(), variables);
        let (guest, unread) =
            Guest::of(&environment, None).map_err(|error| format!("{error:?}"))?;
        let unread = unread.map(|error| format!("{error:?}"));
        Ok((guest.domain.to_string(), guest.token.is_some(), unread))
    }

    #[test]
    fn what_is_kept_and_cannot_be_read_is_told_and_is_no_error() {
        let own = (OSCLI_CLOUD, "own.test");
        let settings = (".balenarc.yml", "balenaUrl: own.test\n");
        for files in [
            &[settings, (".balena/token", "two words")][..],
            // A folder.
            &[settings, (".balena/token/x", "")],
            &[(".balenarc.yml", "balenaUrl: [")],
        ] {
            let (domain, has_token, unread) = guest(files, &[own]).unwrap();
            assert_eq!((&*domain, has_token), ("own.test", false));
            let why = unread.unwrap();
            assert!(
                why.contains(".balena") && !why.contains("two words"),
                "{why}"
            );
        }
        let kept = [settings, (".balena/token", "kept")];
        let found = guest(&kept, &[own]).unwrap();
        assert_eq!(found, ("own.test".to_owned(), true, None));
    }

    #[test]
    fn what_was_given_and_which_cloud_is_meant_have_to_be_understood() {
        let token = (OSCLI_TOKEN, "two words");
        guest(&[], &[token]).unwrap_err();
        guest(&[], &[(OSCLI_CLOUD, "own test")]).unwrap_err();
        guest(&[(".balenarc.yml", "balenaUrl: [")], &[]).unwrap_err();
    }

    #[test]
    fn a_token_whose_cloud_nobody_named_goes_where_that_is_wanted() {
        let home = tempfile::tempdir().unwrap();
        fs_err::create_dir(home.path().join(".balena")).unwrap();
        fs_err::write(home.path().join(".balena/token"), "kept").unwrap();
        let variables: BTreeMap<String, String> =
            [("HOME".to_owned(), home.path().display().to_string())].into();
        let mut environment = in_home(home.path(), variables);
        let (open, _) = Guest::of(&environment, None).unwrap();
        assert!(!open.has_token());
        let (wanted, is_unnamed) = Guest::wanted(&environment, None).unwrap();
        assert!(wanted.has_token() && is_unnamed);
        assert_eq!(wanted.domain.to_string(), "balena-cloud.com");
        // To another cloud it does not go.
        let own = (OSCLI_CLOUD.to_owned(), "own.test".to_owned());
        environment.variables.extend([own]);
        let (other, _) = Guest::wanted(&environment, None).unwrap();
        assert_eq!(other.domain.to_string(), "own.test");
        assert!(!other.has_token());
        let given = Token::parse("given").unwrap();
        let (other, is_unnamed) = Guest::wanted(&environment, Some(given)).unwrap();
        assert!(other.has_token() && !is_unnamed);
    }
}
