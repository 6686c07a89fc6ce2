//! Being let in: as nobody in particular, which a device in development mode takes, then with the keys of an agent, then with those in
//! files. Each key is shown to the server first; only of one that it would take, a passphrase is asked for and a signature made.

mod agent;
mod identity;
mod passphrase;

use agent::KeyAgent;
use identity::{Identity, Loose, Secret, Signature, is_of};
pub use passphrase::Passphrase;
use russh::{
    MethodKind, MethodSet,
    client::{AuthResult, Handle},
    keys::{Certificate, HashAlg, PublicKey, agent::AgentIdentity, ssh_key::public::KeyData},
};

use super::{Asks, SshError, SshTarget, handler::Client};

/// What a server is asked for in errors.
const OPERATION: &str = "authentication";

/// How one attempt ended.
enum Outcome {
    Entered,
    Refused,
}

struct Attempt<'a> {
    handle: &'a mut Handle<Client>,
    peer: &'a str,
    target: &'a SshTarget,
    asks: &'a Asks,
    tried: Vec<String>,
    /// What the server would take, as it said last.
    takes: Vec<MethodKind>,
    /// Keys that need not be shown again.
    shown: Vec<KeyData>,
    /// Certificates that need not.
    refused: Vec<Certificate>,
}

/// A key or a certificate that the server is shown.
enum Shown<'a> {
    Key(&'a PublicKey),
    Certificate(&'a Certificate),
}

pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    peer: &str,
    target: &SshTarget,
    asks: &Asks,
) -> Result<(), SshError> {
    let mut attempt = Attempt {
        handle,
        peer,
        target,
        asks,
        tried: Vec::new(),
        takes: Vec::new(),
        shown: Vec::new(),
        refused: Vec::new(),
    };
    if matches!(attempt.without_key().await?, Outcome::Entered) {
        return Ok(());
    }
    if attempt.takes.contains(&MethodKind::PublicKey)
        && matches!(attempt.with_keys().await?, Outcome::Entered)
    {
        return Ok(());
    }
    let takes = attempt.takes.iter().map(String::from);
    Err(SshError::Denied {
        peer: peer.to_owned(),
        user: target.user.clone(),
        takes: takes.filter(|name| name != "none").collect(),
        tried: attempt.tried,
    })
}

impl Attempt<'_> {
    async fn without_key(&mut self) -> Result<Outcome, SshError> {
        let result = self.handle.authenticate_none(&self.target.user).await;
        self.tried.push("no key".to_owned());
        let result = result.map_err(|error| self.gone(error))?;
        self.judge(result)
    }

    async fn with_keys(&mut self) -> Result<Outcome, SshError> {
        let (files, loose) = self.files();
        if let Some(socket) = &self.target.agent {
            match KeyAgent::connect(socket).await {
                Ok(agent) => {
                    let entered = self.with_agent(agent, &files, &loose).await?;
                    if matches!(entered, Outcome::Entered) {
                        return Ok(Outcome::Entered);
                    }
                }
                Err(problem) => self.tried.push(problem),
            }
        }
        for Loose { path, certificate } in loose {
            if !self.refused.contains(&certificate) {
                let path = path.display();
                self.tried.push(format!(
                    "{path} (a certificate of a key that neither a file nor the agent has)"
                ));
            }
        }
        for identity in files {
            if matches!(self.with_file(identity).await?, Outcome::Entered) {
                return Ok(Outcome::Entered);
            }
        }
        Ok(Outcome::Refused)
    }

    /// What files hold: keys with their certificates, and certificates of other keys.
    fn files(&mut self) -> (Vec<Identity>, Vec<Loose>) {
        let (mut files, mut loose) = (Vec::new(), Vec::new());
        for path in &self.target.identity_files {
            match identity::read(path) {
                Ok(identity) => files.push(identity),
                Err(problem) => self.tried.push(problem),
            }
        }
        for path in &self.target.certificate_files {
            match identity::certify(path, &mut files) {
                Ok(one) => loose.extend(one),
                Err(problem) => self.tried.push(problem),
            }
        }
        (files, loose)
    }

    async fn with_agent(
        &mut self,
        mut agent: KeyAgent,
        files: &[Identity],
        loose: &[Loose],
    ) -> Result<Outcome, SshError> {
        let only = self.target.identities_only;
        let identities = match agent.identities().await {
            Ok(identities) => agent::wanted(identities, (files, loose), only),
            Err(problem) => {
                self.tried.push(problem);
                return Ok(Outcome::Refused);
            }
        };
        if identities.is_empty() {
            self.tried
                .push("the agent, which has no key for this".to_owned());
        }
        for identity in identities {
            let key = identity.public_key().into_owned();
            let of_files = files.iter().flat_map(|file| &file.certificates);
            let loose = loose.iter().map(|loose| &loose.certificate);
            let certificates = of_files.chain(loose);
            let shows: Vec<Shown<'_>> = match &identity {
                // Who names a certificate alone has not named its key.
                AgentIdentity::PublicKey { key, .. } => certificates
                    .filter(|certificate| is_of(certificate, key))
                    .map(Shown::Certificate)
                    .chain((!only || agent::is_in(files, key)).then_some(Shown::Key(key)))
                    .collect(),
                AgentIdentity::Certificate { certificate, .. } => {
                    vec![Shown::Certificate(certificate)]
                }
            };
            let Some(hash) = self.hash_for(&key).await? else {
                continue;
            };
            let name = format!("{} of the agent", agent::name_of(&identity));
            let mut signing = agent.with(identity.clone());
            let entered = self.each(&name, &shows, hash, &mut signing).await?;
            if matches!(entered, Outcome::Entered) {
                return Ok(Outcome::Entered);
            }
        }
        Ok(Outcome::Refused)
    }

    /// Shows what belongs to one key, one after the other.
    async fn each<S>(
        &mut self,
        name: &str,
        shows: &[Shown<'_>],
        hash: Option<HashAlg>,
        signer: &mut S,
    ) -> Result<Outcome, SshError>
    where
        S: russh::Signer,
        Unsigned: From<S::Error>,
    {
        for shown in shows {
            let kind = match shown {
                Shown::Certificate(certificate) if self.refused.contains(certificate) => continue,
                Shown::Key(key) => key.algorithm().to_string(),
                Shown::Certificate(certificate) => certificate.algorithm().to_certificate_type(),
            };
            if let Shown::Key(key) = shown {
                self.shown.push(key.key_data().clone());
            }
            match self.show(shown, hash, signer).await {
                Ok(Outcome::Entered) => return Ok(Outcome::Entered),
                Ok(Outcome::Refused) => {
                    if let Shown::Certificate(certificate) = shown {
                        self.refused.push((*certificate).clone());
                    }
                    self.tried.push(format!("{name} ({kind})"));
                }
                Err(Unsigned::Gone) => return Err(self.gone("the connection was closed")),
                Err(Unsigned::Problem(problem)) => {
                    self.tried.push(format!("{name} ({kind}): {problem}"));
                    break;
                }
            }
            self.check()?;
        }
        Ok(Outcome::Refused)
    }

    async fn with_file(&mut self, identity: Identity) -> Result<Outcome, SshError> {
        let path = identity.path.display().to_string();
        if let Secret::Absent = identity.secret {
            let key = identity.public.as_ref().map(PublicKey::key_data);
            if key.is_none_or(|key| !self.shown.contains(key)) {
                self.tried
                    .push(format!("{path}, whose private key no agent has"));
            }
            return Ok(Outcome::Refused);
        }
        let certificates = identity.certificates.clone();
        let mut signature = Signature::new(identity, self.asks.passphrase.clone());
        let public = match signature.public().await {
            Ok(public) => public,
            Err(problem) => {
                self.tried.push(format!("{path}: {problem}"));
                return Ok(Outcome::Refused);
            }
        };
        let Some(hash) = self.hash_for(&public).await? else {
            return Ok(Outcome::Refused);
        };
        let is_new = !self.shown.contains(public.key_data());
        let mut shows: Vec<Shown<'_>> = certificates.iter().map(Shown::Certificate).collect();
        if is_new {
            shows.push(Shown::Key(&public));
        }
        self.each(&path, &shows, hash, &mut signature).await
    }

    /// Shows a key or a certificate, and signs if the server would take it.
    async fn show<S>(
        &mut self,
        shown: &Shown<'_>,
        hash: Option<HashAlg>,
        signer: &mut S,
    ) -> Result<Outcome, Unsigned>
    where
        S: russh::Signer,
        Unsigned: From<S::Error>,
    {
        let user = &self.target.user;
        let result = match shown {
            Shown::Key(key) => {
                let key = (*key).clone();
                self.handle
                    .authenticate_publickey_with(user, key, hash, signer)
                    .await?
            }
            Shown::Certificate(certificate) => {
                let certificate = (*certificate).clone();
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, signer)
                    .await?
            }
        };
        Ok(self.take(result))
    }

    /// The digest that an RSA key signs with; `None` when the server takes only one that is not safe.
    async fn hash_for(&mut self, key: &PublicKey) -> Result<Option<Option<HashAlg>>, SshError> {
        if !key.algorithm().is_rsa() {
            return Ok(Some(None));
        }
        let supported = self.handle.best_supported_rsa_hash().await;
        match supported.map_err(|error| self.gone(error))? {
            Some(Some(hash)) => Ok(Some(Some(hash))),
            Some(None) if self.target.algorithms.allow_sha1() => Ok(Some(None)),
            Some(None) => {
                let name = key.fingerprint(HashAlg::Sha256);
                self.tried.push(format!(
                    "{name}, of which the server wants a signature with SHA-1"
                ));
                Ok(None)
            }
            // It does not say; servers of the last ten years can.
            None => Ok(Some(Some(HashAlg::Sha512))),
        }
    }

    fn judge(&mut self, result: AuthResult) -> Result<Outcome, SshError> {
        let outcome = self.take(result);
        self.check()?;
        Ok(outcome)
    }

    fn take(&mut self, result: AuthResult) -> Outcome {
        match result {
            AuthResult::Success => Outcome::Entered,
            AuthResult::Failure {
                remaining_methods,
                partial_success,
            } => {
                self.note(&remaining_methods);
                if partial_success {
                    self.tried
                        .push("one that is not enough by itself".to_owned());
                }
                Outcome::Refused
            }
        }
    }

    fn note(&mut self, methods: &MethodSet) {
        if !methods.is_empty() {
            self.takes = methods.to_vec();
        }
    }

    /// A server that has had enough hangs up, which the library reports as one more refusal.
    fn check(&self) -> Result<(), SshError> {
        if self.handle.is_closed() {
            return Err(self.gone("the server hung up"));
        }
        Ok(())
    }

    fn gone(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> SshError {
        SshError::Gone {
            peer: self.peer.to_owned(),
            operation: OPERATION.to_owned(),
            source: source.into(),
        }
    }
}

/// Why there is no signature.
enum Unsigned {
    Gone,
    Problem(String),
}

impl From<russh::AgentAuthError> for Unsigned {
    fn from(error: russh::AgentAuthError) -> Self {
        match error {
            russh::AgentAuthError::Send(_) => Self::Gone,
            russh::AgentAuthError::Key(error) => {
                Self::Problem(format!("it does not sign: {error}"))
            }
        }
    }
}

impl From<russh::SendError> for Unsigned {
    fn from(_: russh::SendError) -> Self {
        Self::Gone
    }
}
