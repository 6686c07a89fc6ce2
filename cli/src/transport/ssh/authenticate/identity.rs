//! Keys in files: formats of OpenSSH and PEM, open or locked with a passphrase, with their certificates.

use std::{
    ffi::OsString,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use russh::{
    Signer,
    keys::{
        self, Certificate, HashAlg, PrivateKey, PublicKey, agent::AgentIdentity, decode_secret_key,
        signature::Signer as _, ssh_encoding::Encode as _, ssh_key::private::KeypairData,
    },
};
use tokio::task::spawn_blocking;

use super::{Passphrase, Unsigned};
use crate::transport::ssh::PassphraseAsk;

/// Bytes of the longest file that is read; an RSA key of 16,384 bits has 13,000.
const LONGEST: u64 = 64 << 10;
/// How often a passphrase may be wrong.
const ATTEMPTS: usize = 3;

/// A key in a file.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    /// Its public half, where it is known without a passphrase.
    pub(super) public: Option<PublicKey>,
    pub(super) secret: Secret,
    /// Those that were named, then the one that lies beside it, called `<file>-cert.pub`.
    pub(super) certificates: Vec<Certificate>,
}

/// A certificate of a key that is in no file; an agent may have it.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) path: PathBuf,
    pub(super) certificate: Certificate,
}

/// Whether a certificate is one of this key.
pub(super) fn is_of(certificate: &Certificate, key: &PublicKey) -> bool {
    certificate.public_key() == key.key_data()
}

/// The private half.
pub(super) enum Secret {
    Open(Box<PrivateKey>),
    /// The text of the file.
    Locked(String),
    /// It is not in the file; an agent may have it.
    Absent,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Open",
            Self::Locked(_) => "Locked",
            Self::Absent => "Absent",
        })
    }
}

/// Reads a key; else the file and what is wrong with it.
pub(super) fn read(path: &Path) -> Result<Identity, String> {
    let told = |problem: &str| format!("{} ({problem})", path.display());
    let (text, is_private_to_us) = text(path).map_err(|error| told(&error.to_string()))?;
    let beside = public_beside(path);
    let (public, secret) = parse(&text, beside).map_err(|problem| told(&problem))?;
    if !matches!(secret, Secret::Absent) && !is_private_to_us {
        return Err(told("not used: others may read it; chmod 600 forbids it"));
    }
    Ok(Identity {
        path: path.to_owned(),
        public,
        secret,
        certificates: certificate_beside(path).into_iter().collect(),
    })
}

/// Gives the certificate in a file to its key, if that is one of these; in the order in which they were named.
pub(super) fn certify(path: &Path, identities: &mut [Identity]) -> Result<Option<Loose>, String> {
    let told = |problem: &str| format!("{} ({problem})", path.display());
    let (text, _) = text(path).map_err(|error| told(&error.to_string()))?;
    let certificate = Certificate::from_openssh(text.trim())
        .map_err(|error| told(&format!("not a certificate: {error}")))?;
    let has_key = |identity: &&mut Identity| {
        let public = identity.public.as_ref();
        public.is_some_and(|public| is_of(&certificate, public))
    };
    let Some(identity) = identities.iter_mut().find(has_key) else {
        let path = path.to_owned();
        return Ok(Some(Loose { path, certificate }));
    };
    if !identity.certificates.contains(&certificate) {
        identity.certificates.push(certificate);
    }
    Ok(None)
}

/// The text of a file, and whether nobody else can read it.
fn text(path: &Path) -> std::io::Result<(String, bool)> {
    let file = fs_err::File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    let others = mode & 0o077;
    Ok((text, others == 0))
}

fn parse(text: &str, beside: Option<PublicKey>) -> Result<(Option<PublicKey>, Secret), String> {
    if let Ok(public) = PublicKey::from_openssh(text.trim()) {
        return Ok((Some(public), Secret::Absent));
    }
    if let Ok(key) = PrivateKey::from_openssh(text) {
        let public = key.public_key().clone();
        let secret = if key.is_encrypted() {
            Secret::Locked(text.to_owned())
        } else {
            Secret::Open(Box::new(key))
        };
        return Ok((Some(public), secret));
    }
    let old = text.lines().find(|line| line.starts_with("DEK-Info:"));
    if old.is_some_and(|line| !line.contains("AES-128-CBC")) {
        return Err(
            "locked in a way that is not read here: ssh-keygen -p -f FILE writes it anew"
                .to_owned(),
        );
    }
    if old.is_some() || text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return Ok((beside, Secret::Locked(text.to_owned())));
    }
    match decode_secret_key(text, None) {
        Ok(key) => {
            let public = key.public_key().clone();
            Ok((Some(public), Secret::Open(Box::new(key))))
        }
        Err(keys::Error::KeyIsEncrypted) => Ok((beside, Secret::Locked(text.to_owned()))),
        Err(error) => Err(format!("not a key that can be used: {error}")),
    }
}

fn named(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(ending);
    name.into()
}

fn public_beside(path: &Path) -> Option<PublicKey> {
    let (text, _) = text(&named(path, ".pub")).ok()?;
    PublicKey::from_openssh(text.trim()).ok()
}

fn certificate_beside(path: &Path) -> Option<Certificate> {
    let (text, _) = text(&named(path, "-cert.pub")).ok()?;
    Certificate::from_openssh(text.trim()).ok()
}

/// Makes signatures with a key, which it opens when the first one is wanted.
pub(super) struct Signature {
    identity: Identity,
    ask: PassphraseAsk,
}

impl Signature {
    pub(super) fn new(identity: Identity, ask: PassphraseAsk) -> Self {
        Self { identity, ask }
    }

    /// The public half; of some locked keys it is known only once they are open.
    pub(super) async fn public(&mut self) -> Result<PublicKey, String> {
        if let Some(public) = &self.identity.public {
            return Ok(public.clone());
        }
        Ok(self.open().await?.public_key().clone())
    }

    async fn open(&mut self) -> Result<&PrivateKey, String> {
        if let Secret::Locked(text) = &self.identity.secret {
            let key = unlocked(&self.identity.path, text, &self.ask).await?;
            self.identity.secret = Secret::Open(Box::new(key));
        }
        match &self.identity.secret {
            Secret::Open(key) => Ok(key),
            Secret::Locked(_) | Secret::Absent => Err("it has no private half".to_owned()),
        }
    }
}

async fn unlocked(path: &Path, text: &str, ask: &PassphraseAsk) -> Result<PrivateKey, String> {
    for attempt in 0..ATTEMPTS {
        let Some(passphrase) = ask(path.to_owned(), attempt > 0).await else {
            return Err("it needs a passphrase, and none was given".to_owned());
        };
        if let Some(key) = tried(text.to_owned(), passphrase).await {
            return Ok(key);
        }
    }
    Err("the passphrase is wrong".to_owned())
}

/// Deriving a key from a passphrase is made to take long.
async fn tried(text: String, passphrase: Passphrase) -> Option<PrivateKey> {
    let opened = spawn_blocking(move || decode_secret_key(&text, Some(passphrase.text())));
    opened.await.ok()?.ok()
}

impl Signer for Signature {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _identity: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let key = self.open().await.map_err(Unsigned::Problem)?;
        let unsigned =
            |error: &dyn std::error::Error| Unsigned::Problem(format!("it does not sign: {error}"));
        let signature = match key.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&data),
            pair => pair.try_sign(&data),
        };
        let signature = signature.map_err(|error| unsigned(&error))?;
        // What is signed, followed by the signature, as the protocol wants it.
        let appended = signature.encode_prefixed(&mut data);
        appended.map_err(|error| unsigned(&error))?;
        Ok(data)
    }
}
