//! Keys that an agent holds.

use std::{path::Path, time::Duration};

use russh::{
    Signer,
    keys::{
        HashAlg, PublicKey,
        agent::{AgentIdentity, client::AgentClient},
    },
};
use tokio::{net::UnixStream, time::timeout};

use super::{
    Unsigned,
    identity::{Identity, Loose, is_of},
};

/// How long an agent may take to say what it holds. For a signature a person may be asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// An agent that answers.
pub(super) struct KeyAgent(AgentClient<UnixStream>);

impl KeyAgent {
    /// Connects; else what is wrong.
    pub(super) async fn connect(socket: &Path) -> Result<Self, String> {
        let connected = UnixStream::connect(socket).await;
        connected
            .map(|stream| Self(AgentClient::connect(stream)))
            .map_err(|error| {
                format!(
                    "the agent at {}, which does not answer ({error})",
                    socket.display()
                )
            })
    }

    /// What it holds.
    pub(super) async fn identities(&mut self) -> Result<Vec<AgentIdentity>, String> {
        match timeout(PATIENCE, self.0.request_identities()).await {
            Ok(Ok(identities)) => Ok(identities),
            Ok(Err(error)) => Err(format!("the agent, which does not tell its keys ({error})")),
            Err(_) => Err("the agent, which does not answer".to_owned()),
        }
    }

    /// Who signs with one of them, also where a certificate of it is shown: an agent knows only what it holds.
    pub(super) fn with(&mut self, identity: AgentIdentity) -> Signing<'_> {
        Signing {
            client: &mut self.0,
            identity,
        }
    }
}

/// Makes signatures with a key that an agent holds.
pub(super) struct Signing<'a> {
    client: &'a mut AgentClient<UnixStream>,
    identity: AgentIdentity,
}

impl Signer for Signing<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _shown: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        Ok(self.client.auth_sign(&self.identity, hash, data).await?)
    }
}

/// Which of the agent's keys are shown, in which order: those of the files and of certificates first, then the others unless only those are meant.
pub(super) fn wanted(
    identities: Vec<AgentIdentity>,
    (files, loose): (&[Identity], &[Loose]),
    only: bool,
) -> Vec<AgentIdentity> {
    let is_named = |key: &PublicKey| {
        is_in(files, key) || loose.iter().any(|loose| is_of(&loose.certificate, key))
    };
    let (mut named, others): (Vec<_>, Vec<_>) = identities
        .into_iter()
        .partition(|identity| is_named(&identity.public_key()));
    if !only {
        named.extend(others);
    }
    named
}

/// Whether a file holds this key, or its public half.
pub(super) fn is_in(files: &[Identity], key: &PublicKey) -> bool {
    let mut files = files.iter().filter_map(|file| file.public.as_ref());
    files.any(|public| public.key_data() == key.key_data())
}

/// What a person knows it by.
pub(super) fn name_of(identity: &AgentIdentity) -> String {
    let comment = identity.comment().trim();
    if comment.is_empty() {
        return identity
            .public_key()
            .fingerprint(HashAlg::Sha256)
            .to_string();
    }
    comment.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ssh::authenticate::identity::Secret;

    const FIRST: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ first";
    const SECOND: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti second";

    fn held(line: &str) -> AgentIdentity {
        let key = PublicKey::from_openssh(line).unwrap();
        AgentIdentity::PublicKey {
            comment: key.comment().to_string(),
            key,
        }
    }

    fn names(only: bool) -> Vec<String> {
        let file = Identity {
            path: "second.pub".into(),
            public: PublicKey::from_openssh(SECOND).ok(),
            secret: Secret::Absent,
            certificates: Vec::new(),
        };
        let wanted = wanted(vec![held(FIRST), held(SECOND)], (&[file], &[]), only);
        wanted.iter().map(name_of).collect()
    }

    #[test]
    fn keys_that_files_name_are_shown_first_or_alone() {
        assert_eq!(names(false), ["second", "first"]);
        assert_eq!(names(true), ["second"]);
    }
}
