//! Whose key is whose: known keys are accepted, changed ones refused, new ones put before a person.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::ssh_device::KnownDevices;
use crate::{
    cause::chain,
    commands::Context,
    transport::ssh::{
        Asks, HostKey, HostKeyDecision, HostKeyRefusal, Passphrase, Server,
        host_keys::{HostName, Store, Verdict},
    },
    ui::{Console, render},
};

/// Decides about keys.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub(super) store: Store,
    /// Fingerprints of the keys that devices announce in the local network: as good as a first contact is.
    pub(super) announced: BTreeMap<HostName, String>,
    /// Hosts whose new keys a person does not want to be asked about: they are refused.
    pub(super) refused: BTreeSet<HostName>,
    /// Hosts that run in a process of ours: their new keys are accepted without a question.
    pub(super) ours: BTreeSet<HostName>,
    /// Whether new keys are accepted without a question.
    pub(super) accepts: bool,
    console: Console,
    interrupt: CancellationToken,
}

impl Trust {
    pub(super) fn new(context: &Context, accepts: bool) -> Self {
        Self {
            store: KnownDevices::below(&context.environment.paths.ssh()).keys,
            announced: BTreeMap::new(),
            refused: BTreeSet::new(),
            ours: BTreeSet::new(),
            accepts,
            console: context.console.clone(),
            interrupt: context.interrupt.clone(),
        }
    }

    /// Kinds of the keys by which a host is known.
    pub(super) fn kinds(&self, host: &HostName) -> Vec<String> {
        // A file that cannot be read is told when the key is judged.
        let known = self.store.load().unwrap_or_default();
        known.algorithms(host)
    }

    /// What a connection may ask.
    pub(super) fn asks(self) -> Asks {
        let console = self.console.clone();
        let trust = Arc::new(self);
        let knowing = Arc::clone(&trust);
        Asks {
            is_known: Arc::new(move |server, key| {
                let known = knowing.store.load();
                known.is_ok_and(|known| known.judge(&server.host, key) == Verdict::Known)
            }),
            host_key: Arc::new(move |server, key| {
                let trust = Arc::clone(&trust);
                Box::pin(async move {
                    tokio::select! {
                        decision = trust.decide(&server, &key) => decision,
                        () = trust.interrupt.cancelled() => HostKeyDecision::Refuse(HostKeyRefusal::Declined),
                    }
                })
            }),
            passphrase: Arc::new(move |path, again| {
                let may = console.may_prompt();
                Box::pin(async move {
                    if !may {
                        return None;
                    }
                    let asked = spawn_blocking(move || render::ssh::passphrase(&path, again));
                    asked.await.ok()?.ok().map(Passphrase::new)
                })
            }),
        }
    }

    async fn decide(&self, server: &Server, key: &HostKey) -> HostKeyDecision {
        let Server { name, host } = server;
        let unreadable =
            |problem: String| HostKeyDecision::Refuse(HostKeyRefusal::Unreadable { problem });
        let known = match self.store.load() {
            Ok(known) => known,
            Err(error) => return unreadable(chain(&error)),
        };
        if let Some(decision) = self.settled(known.judge(host, key)) {
            return decision;
        }
        if self.refused.contains(host) {
            return HostKeyDecision::Refuse(HostKeyRefusal::Strict);
        }
        let announced = self.announced.get(host);
        if let Some(other) = announced.filter(|announced| **announced != key.fingerprint()) {
            return HostKeyDecision::Refuse(HostKeyRefusal::Announced {
                fingerprint: other.clone(),
            });
        }
        if announced.is_some() {
            render::ssh::announced_key(&self.console, name, &key.fingerprint());
        } else if !self.accepts && !self.ours.contains(host) {
            render::ssh::new_key(&self.console, name, key.algorithm(), &key.fingerprint());
            if !self.console.may_prompt() {
                return HostKeyDecision::Refuse(HostKeyRefusal::Unknown);
            }
            let asked_about = name.clone();
            let asked = spawn_blocking(move || render::ssh::trusts(&asked_about));
            if !matches!(asked.await, Ok(Ok(Some(true)))) {
                return HostKeyDecision::Refuse(HostKeyRefusal::Declined);
            }
        }
        match self.store.pin(host, key) {
            // Another command may have pinned another key meanwhile.
            Ok(verdict) => {
                let decision = self
                    .settled(verdict)
                    .unwrap_or(HostKeyDecision::Refuse(HostKeyRefusal::Unknown));
                if decision == HostKeyDecision::Accept {
                    render::ssh::key_accepted(
                        &self.console,
                        name,
                        &key.fingerprint(),
                        self.store.path(),
                    );
                }
                decision
            }
            Err(error) => unreadable(chain(&error)),
        }
    }

    /// What needs no question.
    fn settled(&self, verdict: Verdict) -> Option<HostKeyDecision> {
        let file = self.store.path().display();
        let refusal = match verdict {
            Verdict::Known => return Some(HostKeyDecision::Accept),
            Verdict::New => return None,
            Verdict::Changed { stored } => {
                let known = stored.iter().map(|pinned| {
                    let key = &pinned.key;
                    format!(
                        "{} {} (line {} of {file})",
                        key.algorithm(),
                        key.fingerprint(),
                        pinned.line
                    )
                });
                HostKeyRefusal::Changed {
                    known: known.collect::<Vec<_>>().join(", "),
                }
            }
            Verdict::Revoked { line } => HostKeyRefusal::Revoked {
                place: format!("line {line} of {file}"),
            },
        };
        Some(HostKeyDecision::Refuse(refusal))
    }
}
