//! One request is held, and a test decides what becomes of it.
//!
//! In: requests in the order in which they come. Out: the one that was asked for, as a [`Caught`], before the engine has
//! it or after the engine has answered. Only what changes something on the engine counts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::Method;
use tokio::sync::oneshot;

use crate::until::PATIENCE;

/// When a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the engine gets it.
    Asked,
    /// After the engine has answered, before its client sees the answer.
    Answered,
}

/// What becomes of a request that was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What would have become of it: it was only late.
    Pass,
    /// Its connection is cut. The engine gets no request that it does not have.
    Cut,
    /// This status and this JSON in the engine's place. The engine gets no request that it does not have.
    Answer(u16, &'static str),
    /// The engine gets the request; half of its answer arrives, or nothing where there is no body to halve. Then the
    /// connection is cut.
    Halve,
    /// The engine gets the request; its answer never arrives, and the connection stays open.
    Silence,
}

/// A hold on a request that may come.
#[derive(Debug)]
pub struct Held(oneshot::Receiver<Caught>);

/// The request. Dropping it cuts its connection.
#[derive(Debug)]
pub struct Caught {
    /// `POST /containers/create?name=web`, without the version of the API.
    pub line: String,
    decide: oneshot::Sender<Outcome>,
}

impl Held {
    /// Waits until the request is there. Panics when it does not come.
    pub async fn reached(&mut self) -> Caught {
        tokio::time::timeout(PATIENCE, self.caught())
            .await
            .expect("the request that is to be held comes in time")
            .expect("the proxy is there")
    }

    /// Waits until the request is there, or until `end` says that none comes any more. Panics when neither happens.
    pub async fn reached_before<T>(&mut self, end: impl Future<Output = T>) -> Result<Caught, T> {
        tokio::select! {
            biased;
            caught = self.reached() => Ok(caught),
            ended = end => Err(ended),
        }
    }

    /// The request when it comes; `None` when another hold took the place of this one.
    pub async fn caught(&mut self) -> Option<Caught> {
        (&mut self.0).await.ok()
    }
}

impl Caught {
    /// Lets go of it.
    pub fn release(self, outcome: Outcome) {
        // Whoever had sent it may be gone.
        let _ = self.decide.send(outcome);
    }
}

/// What passes: the requests that change something, the hold on one of them, and the events that were lost.
#[derive(Debug, Default)]
pub(super) struct Changes(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    seen: Vec<String>,
    lost: Vec<String>,
    hold: Option<Hold>,
}

#[derive(Debug)]
struct Hold {
    number: usize,
    moment: Moment,
    tell: oneshot::Sender<Caught>,
}

/// The hold on the very request that is passed on.
#[derive(Debug)]
pub(super) struct Grip {
    line: String,
    pub(super) moment: Moment,
    tell: oneshot::Sender<Caught>,
}

impl Changes {
    pub(super) fn hold(&self, number: usize, moment: Moment) -> Held {
        let (tell, told) = oneshot::channel();
        let mut counted = self.lock();
        counted.seen.clear();
        counted.hold = Some(Hold {
            number,
            moment,
            tell,
        });
        Held(told)
    }

    pub(super) fn seen(&self) -> Vec<String> {
        self.lock().seen.clone()
    }

    pub(super) fn lose(&self, event: &[u8]) {
        let event = String::from_utf8_lossy(event).into_owned();
        self.lock().lost.push(event);
    }

    pub(super) fn lost(&self) -> Vec<String> {
        self.lock().lost.clone()
    }

    /// Counts a request; the hold on it, if there is one.
    pub(super) fn count(&self, method: &Method, target: &str) -> Option<Grip> {
        if matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let line = format!("{method} {}", without_version(target));
        let mut counted = self.lock();
        counted.seen.push(line.clone());
        let number = counted.seen.len();
        let Hold { moment, tell, .. } = counted.hold.take_if(|hold| hold.number == number)?;
        Some(Grip { line, moment, tell })
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grip {
    /// Tells the test, and waits for what it decides.
    pub(super) async fn decided(self) -> Outcome {
        let (decide, decided) = oneshot::channel();
        let caught = Caught {
            line: self.line,
            decide,
        };
        // A test that is not interested any more lets everything pass.
        match self.tell.send(caught) {
            Ok(()) => decided.await.unwrap_or(Outcome::Cut),
            Err(_) => Outcome::Pass,
        }
    }
}

/// A request's target without the `/v1.41` before it.
pub(super) fn without_version(target: &str) -> &str {
    let version = target.strip_prefix("/v").and_then(|rest| {
        let (version, _) = rest.split_once('/')?;
        let is_version = version
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        is_version.then_some(version.len() + 2)
    });
    &target[version.unwrap_or(0)..]
}
