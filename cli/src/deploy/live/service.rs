//! A service whose files are watched: what its container has, and what it is made by.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use futures_util::future::try_join_all;

use super::{
    Built, BuiltFrom,
    decide::{Bring, Decision, Known, decide},
    place::doubtful,
};
use crate::{
    engine::{Engine, EngineError, Mounts},
    project::{
        context::BuildContext,
        dockerfile::{Base, Recipe, recipe},
    },
};

/// The bit of a folder in the modes of engines, which are those of Go's `os.FileMode`.
const FOLDER: u32 = 1 << 31;

/// A service.
pub(super) struct Service {
    pub(super) name: String,
    built: Built,
    /// How its image is made; why that is not known, otherwise.
    recipe: Result<Recipe, String>,
    inside: Option<Inside>,
}

/// A container.
struct Inside {
    id: String,
    /// Folders to which single files are copied.
    folders: BTreeSet<String>,
    mounts: Mounts,
    /// What it has.
    has: Arc<BuildContext>,
    /// A step whose commands have failed.
    due: Option<usize>,
}

/// What has to be done for a service.
pub(super) enum Work<'a> {
    Nothing,
    /// In the container with this id.
    Bring(String, Bring<'a>),
    Rebuild(String),
}

/// The services of a deployment, none of them with a container yet.
pub(super) async fn all(engine: &Engine, sources: &BuiltFrom) -> Result<Vec<Service>, EngineError> {
    let services = sources.0.iter().map(async |(name, built)| {
        let context = &built.source.context;
        let bases = context.base_images.iter().map(async |image| {
            let config = engine.image_config(image).await?;
            Ok::<_, EngineError>(config.map(|config| {
                let base = Base {
                    folder: config.working_dir,
                    user: config.user,
                    shell: config.shell,
                    has_triggers: !config.on_build.is_empty(),
                };
                (image.clone(), base)
            }))
        });
        let bases: BTreeMap<String, Base> =
            try_join_all(bases).await?.into_iter().flatten().collect();
        let spec = &built.source.spec;
        let recipe = recipe(
            &context.dockerfile_text,
            spec.target.as_deref(),
            &spec.args,
            &|image| bases.get(image).cloned(),
        );
        Ok(Service {
            name: name.clone(),
            built: built.clone(),
            recipe: recipe.map_err(|error| error.to_string()),
            inside: None,
        })
    });
    try_join_all(services).await
}

impl Service {
    /// The folders to watch.
    pub(super) fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let context = match &self.inside {
            Some(inside) => &inside.has,
            None => &self.built.source.context,
        };
        context.watched()
    }

    /// The name of its image in the target state.
    pub(super) fn image_name(&self) -> &str {
        &self.built.name
    }

    /// The engine id of its image.
    pub(super) fn image(&self) -> &str {
        &self.built.image
    }

    /// The container that is known.
    pub(super) fn container(&self) -> Option<&str> {
        self.inside.as_ref().map(|inside| inside.id.as_str())
    }

    /// Takes note of the container that there is: another one has what the image has.
    pub(super) async fn is_in(
        &mut self,
        engine: &Engine,
        container: Option<&str>,
    ) -> Result<(), EngineError> {
        if self.container() == container {
            return Ok(());
        }
        self.inside = None;
        let (Some(id), Ok(recipe)) = (container, &self.recipe) else {
            return Ok(());
        };
        let places = doubtful(recipe).into_iter().map(async |place| {
            let stat = engine.archive_stat(id, place.as_bytes()).await?;
            let is_folder = stat.is_some_and(|stat| stat.mode & FOLDER != 0);
            Ok::<_, EngineError>(is_folder.then_some(place))
        });
        let folders = try_join_all(places).await?.into_iter().flatten().collect();
        self.inside = Some(Inside {
            id: id.to_owned(),
            folders,
            mounts: engine.mounts(id).await?,
            has: Arc::clone(&self.built.source.context),
            due: None,
        });
        Ok(())
    }

    /// What has to be done, so that its container has what is in the folder.
    pub(super) fn work<'a>(&'a self, now: &'a BuildContext) -> Work<'a> {
        let recipe = match &self.recipe {
            Ok(recipe) => recipe,
            Err(because) if self.built.source.context.digest != now.digest => {
                return Work::Rebuild(because.clone());
            }
            Err(_) => return Work::Nothing,
        };
        let Some(inside) = &self.inside else {
            return Work::Nothing;
        };
        let known = Known {
            recipe,
            folders: &inside.folders,
            mounts: &inside.mounts,
            due: inside.due,
        };
        match decide(known, &inside.has, now) {
            Decision::Nothing => Work::Nothing,
            Decision::Bring(bring) => Work::Bring(inside.id.clone(), bring),
            Decision::Rebuild(because) => Work::Rebuild(because),
        }
    }

    /// Takes note of what its container has, and of the step from which on commands are due.
    pub(super) fn has(&mut self, now: Arc<BuildContext>, due: Option<usize>) {
        if let Some(inside) = &mut self.inside {
            inside.has = now;
            inside.due = due;
        }
    }
}
