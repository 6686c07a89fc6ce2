//! What the loop reads and changes: the engine and the directories of services.
//!
//! Two things stand behind it: the real engine, and the model of one on which the loop is simulated.

use std::collections::BTreeMap;
use std::fmt::Debug;

use tokio::sync::watch;

use super::pulls::Progress;
use crate::engine::{Connected, EngineError};
use crate::execute::Executor;
use crate::locks::Held;
use crate::logs::Hub;
use crate::model::{DeviceFacts, Step};
use crate::observe::{self, Known, World};

/// See the module.
pub(crate) trait Outside: Clone + Debug + Send + Sync + 'static {
    /// Reads everything that planning needs.
    fn observe(&self, known: Known<'_>) -> impl Future<Output = Result<World, EngineError>> + Send;

    /// Executes one step.
    fn execute(
        &self,
        step: &Step,
        tools: &Tools,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;
}

/// What steps are executed with, beside the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) facts: std::sync::Arc<DeviceFacts>,
    pub(crate) hub: Hub,
    /// By image reference, while it is fetched.
    pub(crate) pulls: watch::Sender<BTreeMap<String, Progress>>,
    /// Update locks that this agent holds.
    pub(crate) locks: Held,
}

impl Outside for Connected {
    async fn observe(&self, known: Known<'_>) -> Result<World, EngineError> {
        // Reads side by side make a large future; it lives only now and then.
        Box::pin(observe::observe(self, known)).await
    }

    async fn execute(&self, step: &Step, tools: &Tools) -> Result<(), EngineError> {
        let executor = Executor {
            connected: self,
            tools,
        };
        Box::pin(executor.execute(step)).await
    }
}
