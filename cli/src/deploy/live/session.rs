//! One look at the folders and at the device, and what follows from it.

use std::time::Instant;

use super::{
    Ended, LiveEvent, Watched,
    bring::{self, Brought},
    container_of,
    service::Work,
};
use crate::{
    agent::{AgentError, Kind},
    cause,
    deploy::{
        DeployError, Deployment, Events, Options, ServicePlan,
        changes::{of_report, of_status},
        prepare,
        touched::{Image, Touched},
    },
    engine::EngineError,
};

/// Why a look had no result.
pub(super) enum Trouble {
    Folder(String),
    /// Somebody was still writing.
    Changing,
    Device(String),
    /// It cannot be written down what is brought.
    Unwritten(DeployError),
}

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Self {
        Self::Device(cause::chain(&error))
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unwritten(error) => Self::Folder(cause::chain(&*error)),
            error => Self::Device(cause::chain(&error)),
        }
    }
}

pub(super) struct Session<'a> {
    pub(super) deployment: &'a Deployment<'a>,
    pub(super) options: &'a Options<'a>,
    pub(super) tell: &'a (dyn Fn(LiveEvent) + Send + Sync),
    pub(super) watched: &'a mut Watched,
    pub(super) plans: Vec<ServicePlan>,
}

impl Session<'_> {
    /// Looks at everything, and does what is to be done.
    pub(super) async fn look(&mut self) -> Result<Option<Ended>, Trouble> {
        self.read().await?;
        if self.watched.failed.as_ref() == Some(&self.watched.digests()) {
            return Ok(None);
        }
        let engine = self.deployment.engine;
        let states = match self.deployment.kind {
            Kind::Ours(_) => of_report(&self.deployment.agent.report().await?),
            Kind::Reference { .. } => of_status(&self.deployment.agent.status().await?),
        };
        for service in &mut self.watched.services {
            let container = container_of(&states, &service.name);
            service.is_in(engine, container).await?;
        }
        for index in 0..self.watched.services.len() {
            if let Some(because) = self.service(index).await? {
                let service = self.watched.services.get(index);
                let service = service.map_or_else(String::new, |service| service.name.clone());
                return Ok(Some(Ended { service, because }));
            }
        }
        self.watched.failed = None;
        Ok(None)
    }

    /// Reads the folders anew.
    async fn read(&mut self) -> Result<(), Trouble> {
        // Nobody wants to be told again what was told by the push.
        let (events, _) = Events::channel();
        let mut workshop = self.deployment.workshop();
        workshop.events = &events;
        let read = prepare::contexts(&workshop, self.options, &self.plans).await;
        let read = read.map_err(|error| match &error {
            DeployError::Contexts(all) if all.iter().all(|(_, error)| error.is_transient()) => {
                Trouble::Changing
            }
            _ => Trouble::Folder(cause::chain(&error)),
        })?;
        for service in &mut self.watched.services {
            if let Some(source) = read.get(&service.name) {
                service.reads(&source.context);
            }
        }
        Ok(())
    }

    /// Does what is to be done for a service; why it has to be built anew, if it has.
    async fn service(&mut self, index: usize) -> Result<Option<String>, Trouble> {
        let Some(service) = self.watched.services.get_mut(index) else {
            return Ok(None);
        };
        let now = service.now();
        let (id, bring) = match service.work() {
            Work::Nothing => return Ok(None),
            Work::Rebuild(because) => return Ok(Some(because)),
            Work::Bring(id, bring) => (id, bring),
        };
        let path = Touched::path(self.options.builds, self.deployment.key);
        let mut touched = Touched::load(&path);
        let image = Image {
            name: service.image_name().to_owned(),
            id: service.image().to_owned(),
        };
        if touched.0.insert(id.clone(), image.clone()) != Some(image) {
            let saved = touched.save(&path);
            saved.map_err(|error| Trouble::Unwritten(DeployError::Touched(error)))?;
        }
        let start = Instant::now();
        let asked = bring::Asked {
            engine: self.deployment.engine,
            container: &id,
            service: &service.name,
            context: &now,
            tell: self.tell,
        };
        let brought = bring::bring(&asked, &bring).await;
        let (first, paths, restarted) = (bring.first, bring.paths(), bring.restart);
        if !matches!(brought, Ok(Brought::Done)) {
            service.begins(first, paths);
        }
        match brought? {
            Brought::Changing => Err(Trouble::Changing),
            Brought::Impossible(because) => Ok(Some(because)),
            Brought::Done => {
                (self.tell)(LiveEvent::Brought {
                    service: service.name.clone(),
                    restarted,
                    took: start.elapsed(),
                });
                service.has(now);
                Ok(None)
            }
        }
    }
}
