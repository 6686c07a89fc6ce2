//! What others ask the loop: requests, and questions that only it can answer, because only it reads the world.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use agent_api::os::Preview;
use tokio::sync::{mpsc, oneshot};

use crate::model::{ObservedContainer, Refused, Request, Secret, Target};
use crate::report::ServiceKey;

/// Calls that wait for the loop.
const WAITING: usize = 64;

/// One call with the place for its answer. Who asked may be gone.
#[derive(Debug)]
pub(crate) enum Call {
    /// Do this; the answer is the request's number.
    Ask(Vec<Request>, oneshot::Sender<Result<u64, Refused>>),
    /// What would this target change?
    Preview(Proposal, oneshot::Sender<Result<Preview, Refused>>),
    /// What is a service's container like? `None`: it has none.
    Container(
        ServiceKey,
        oneshot::Sender<Result<Option<ObservedContainer>, Refused>>,
    ),
    /// Hold still, with the locks of all services; `true` overrides those that services hold.
    Still(bool, oneshot::Sender<Result<Stillness, Refused>>),
    /// What is the device's own key?
    DeviceKey(oneshot::Sender<Result<Secret, Refused>>),
    /// Give the holder of this key another one. `None`: it is nobody's.
    RotateKey(Secret, oneshot::Sender<Result<Option<Secret>, Refused>>),
}

/// As long as it is there, nothing is changed on the device and no service lets itself be disturbed.
#[derive(Debug)]
pub(crate) struct Stillness {
    _held: oneshot::Sender<Infallible>,
}

impl Stillness {
    /// It, and what ends when it is dropped.
    pub(super) fn new() -> (Self, oneshot::Receiver<Infallible>) {
        let (held, end) = oneshot::channel();
        (Self { _held: held }, end)
    }
}

/// A target that is only thought of.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) target: Arc<Target>,
    /// Services whose images will be built anew.
    pub(crate) rebuilt: BTreeSet<String>,
}

/// Where calls are made. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Caller(mpsc::Sender<Call>);

impl Caller {
    /// A caller, and where the loop takes its calls.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Call>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Stores requests, all or none; follow the report until its `asked` is at least the number.
    pub(crate) async fn ask(&self, requests: Vec<Request>) -> Result<u64, Refused> {
        self.call(|reply| Call::Ask(requests, reply)).await
    }

    /// What a target would change.
    pub(crate) async fn preview(&self, proposal: Proposal) -> Result<Preview, Refused> {
        self.call(|reply| Call::Preview(proposal, reply)).await
    }

    /// A service's container, the newest of several.
    pub(crate) async fn container(
        &self,
        service: ServiceKey,
    ) -> Result<Option<ObservedContainer>, Refused> {
        self.call(|reply| Call::Container(service, reply)).await
    }

    /// Takes the locks of all services and holds still. Waits for what is under way.
    pub(crate) async fn hold_still(&self, force: bool) -> Result<Stillness, Refused> {
        self.call(|reply| Call::Still(force, reply)).await
    }

    /// The device's own key.
    pub(crate) async fn device_key(&self) -> Result<Secret, Refused> {
        self.call(Call::DeviceKey).await
    }

    /// A new key for the holder of one.
    pub(crate) async fn rotate_key(&self, key: Secret) -> Result<Option<Secret>, Refused> {
        self.call(|reply| Call::RotateKey(key, reply)).await
    }

    async fn call<T>(
        &self,
        call: impl FnOnce(oneshot::Sender<Result<T, Refused>>) -> Call,
    ) -> Result<T, Refused> {
        let ends = || Refused::EngineAway("the agent is ending".to_owned());
        let (reply, answer) = oneshot::channel();
        self.0.send(call(reply)).await.map_err(|_| ends())?;
        answer.await.map_err(|_| ends())?
    }
}
