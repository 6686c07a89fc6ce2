//! The engine that makes images, or fetches them.

use std::path::Path;

use super::Args;
use crate::{
    commands::{Context, given, reach::reach},
    deploy,
    discovery::Origin,
    engine::Engine,
    env::DOCKER_HOST,
    failure::Failure,
    simulate::find_engine,
    transport::Endpoint,
};

/// An engine.
pub(super) struct Maker {
    pub(super) engine: Engine,
    /// What it is called, and what tells it from others.
    pub(super) name: String,
    pub(super) key: String,
    /// Bytes that one pull may fetch, where somebody says what is free.
    pub(super) room: Option<u64>,
    /// It is a device's.
    pub(super) is_lent: bool,
}

impl Maker {
    /// Takes away images that a lent engine was only to hand on. What cannot be removed stays.
    pub(super) async fn forget(&self, context: &Context, names: &[String]) {
        for name in names {
            if let Err(error) = self.engine.remove_image(name).await {
                let text = format!("{name} stays with the engine of {}: {error}", self.name);
                context.console.detail(&text);
            }
        }
    }
}

/// The engine that was named, or that of this machine.
pub(super) async fn find(context: &Context, args: &Args) -> Result<Maker, Failure> {
    if let Some(on) = &args.on {
        let reached = reach(context, Some(on), &args.through).await?;
        let key = match &reached.device.origin {
            Origin::Simulated { engine_socket, .. } => key_of(engine_socket),
            _ => reached.key(),
        };
        return Ok(Maker {
            engine: reached.engine().await?,
            name: reached.device.name.clone(),
            key,
            room: deploy::room_for_pull(&reached.kind),
            is_lent: true,
        });
    }
    let mut variables = context.environment.variables.clone();
    if let Some(docker) = &args.docker {
        let socket = given::absolute(context, docker);
        variables.insert(
            DOCKER_HOST.to_owned(),
            format!("unix://{}", socket.display()),
        );
    }
    let socket = find_engine(&variables).await?;
    let name = "this machine".to_owned();
    Ok(Maker {
        key: key_of(&socket),
        engine: Engine::new(&name, Endpoint::Unix(socket)),
        name,
        room: None,
        is_lent: false,
    })
}

/// What tells an engine of this machine from others: simulated devices share it.
fn key_of(socket: &Path) -> String {
    format!("preload {}", socket.display())
}
