//! When the containers of a device change.

use std::time::Duration;

use super::Watched;
use crate::{
    agent::{Kind, ReportStream},
    deploy::{
        Deployment,
        changes::{of_report, of_status},
        target::again,
    },
};

/// How often a device is asked for its containers that does not tell of them by itself.
const ASKED: Duration = Duration::from_secs(5);

/// What the agent says of its services.
pub(super) struct News<'a> {
    pub(super) deployment: &'a Deployment<'a>,
    pub(super) reports: Option<ReportStream>,
}

impl News<'_> {
    /// Waits until a service has another container. A device that is away is waited for.
    pub(super) async fn others(&mut self, watched: &Watched) {
        let agent = self.deployment.agent;
        loop {
            let states = match self.deployment.kind {
                Kind::Reference { .. } => {
                    tokio::time::sleep(ASKED).await;
                    agent.status().await.map(|status| of_status(&status)).ok()
                }
                Kind::Ours(_) => match &mut self.reports {
                    None => {
                        self.reports = match agent.reports().await {
                            Ok(reports) => Some(reports),
                            Err(error) => again(agent, Some(error)).await.ok(),
                        };
                        continue;
                    }
                    Some(reports) => {
                        let Ok(Some(report)) = reports.next().await else {
                            self.reports = again(agent, None).await.ok();
                            continue;
                        };
                        Some(of_report(&report))
                    }
                },
            };
            if states.is_some_and(|states| watched.has_others(&states)) {
                return;
            }
        }
    }
}
