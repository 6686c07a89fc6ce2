//! Watching over a request that may take hours: silence is no failure as long as the engine answers others.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hyper::StatusCode;
use tokio::time::sleep;

use super::{Engine, EngineError};
use crate::transport::Limits;

/// Silence after which the engine is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);

/// How long it may take to answer that.
const ANSWER: Duration = Duration::from_secs(20);

/// Counts what moves.
#[derive(Debug, Default)]
pub(super) struct Movement(AtomicU64);

impl Movement {
    pub(super) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs `work`, which notes every movement, until it is done or the engine has been found to hang.
pub(super) async fn keep<T>(
    engine: &Engine,
    movement: &Movement,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    tokio::select! {
        result = work => result,
        error = hangs(engine, movement) => Err(error),
    }
}

async fn hangs(engine: &Engine, movement: &Movement) -> EngineError {
    loop {
        let before = movement.count();
        // A deadline for the engine, not a wait for something that could be announced.
        sleep(SILENCE).await;
        if movement.count() != before {
            continue;
        }
        let limits = Limits {
            headers: ANSWER,
            stall: ANSWER,
            ..Limits::default()
        };
        match engine.http().get("/_ping", limits).await {
            Ok(answer) if answer.status == StatusCode::OK => {}
            Ok(_) | Err(_) if movement.count() != before => {}
            Ok(_) | Err(_) => {
                return EngineError::Hanging {
                    peer: engine.http().peer(),
                };
            }
        }
    }
}
