//! A service whose files are watched: what its container has, and what it is made by.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use futures_util::future::try_join_all;

use super::{
    Built, BuiltFrom,
    decide::{Begun, Bring, Decision, Known, decide},
    place::doubtful,
};
use crate::{
    engine::{Engine, EngineError, Mounts},
    project::{
        context::BuildContext,
        dockerfile::{Base, Recipe, Step, recipe},
        metadata::Metadata,
    },
};

/// The bit of a folder in the modes of engines, which are those of Go's `os.FileMode`.
const FOLDER: u32 = 1 << 31;

/// A service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    built: Built,
    /// How its image is made; why that is not known, otherwise.
    recipe: Result<Recipe, String>,
    inside: Option<Inside>,
    /// What is in its folder, as it was read last.
    now: Arc<BuildContext>,
}

/// A container.
#[derive(Debug)]
struct Inside {
    id: String,
    /// Whether it was made of the image that was built here; somebody else may have pushed another one meanwhile.
    is_ours: bool,
    /// Folders to which single files are copied.
    folders: BTreeSet<String>,
    mounts: Mounts,
    /// What it has; if it is not ours, what was in the folder when it was seen first.
    has: Arc<BuildContext>,
    begun: Begun,
}

/// What has to be done for a service.
pub(super) enum Work<'a> {
    Nothing,
    /// In the container with this id.
    Bring(String, Bring<'a>),
    Rebuild(String),
}

/// The services of a deployment, none of them with a container yet.
pub(super) async fn all(
    engine: &Engine,
    sources: &BuiltFrom,
    metadata: &Metadata,
) -> Result<Vec<Service>, EngineError> {
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
        let mut recipe = recipe(
            &context.dockerfile_text,
            spec.target.as_deref(),
            &spec.args,
            &|image| bases.get(image).cloned(),
        );
        if let Ok(recipe) = &mut recipe
            && !metadata.build_secrets(name).is_empty()
        {
            for step in &mut recipe.steps {
                if let Step::Run(run) = step {
                    run.command = Err("it may use a secret that is there in builds only");
                }
            }
        }
        Ok(Service {
            name: name.clone(),
            recipe: recipe.map_err(|error| error.to_string()),
            inside: None,
            now: Arc::clone(context),
            built: built.clone(),
        })
    });
    try_join_all(services).await
}

impl Service {
    /// The folders to watch.
    pub(super) fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.now.watched()
    }

    /// Takes note of what is in its folder.
    pub(super) fn reads(&mut self, now: &Arc<BuildContext>) {
        self.now = Arc::clone(now);
    }

    /// What is in its folder.
    pub(super) fn now(&self) -> Arc<BuildContext> {
        Arc::clone(&self.now)
    }

    /// Digest of what is in its folder.
    pub(super) fn digest(&self) -> &str {
        &self.now.digest
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
        let Some(id) = container else {
            return Ok(());
        };
        let places = self.recipe.as_ref().map(doubtful).unwrap_or_default();
        let places = places.into_iter().map(async |place| {
            let stat = engine.archive_stat(id, place.as_bytes()).await?;
            let is_folder = stat.is_some_and(|stat| stat.mode & FOLDER != 0);
            Ok::<_, EngineError>(is_folder.then_some(place))
        });
        let folders = try_join_all(places).await?.into_iter().flatten().collect();
        let is_ours = engine.image_of(id).await? == self.built.image;
        self.inside = Some(Inside {
            id: id.to_owned(),
            is_ours,
            folders,
            mounts: engine.mounts(id).await?,
            has: Arc::clone(if is_ours {
                &self.built.source.context
            } else {
                &self.now
            }),
            begun: Begun::default(),
        });
        Ok(())
    }

    /// What has to be done, so that its container has what is in the folder.
    pub(super) fn work(&self) -> Work<'_> {
        let now = &self.now;
        let is_built = self.built.source.context.digest == now.digest;
        let (recipe, inside) = match (&self.recipe, &self.inside) {
            (Err(because), _) if !is_built => return Work::Rebuild(because.clone()),
            (_, None) if !is_built => return Work::Rebuild("it has no container".to_owned()),
            (Ok(recipe), Some(inside)) => (recipe, inside),
            _ => return Work::Nothing,
        };
        if !inside.is_ours {
            return if inside.has.digest == now.digest {
                Work::Nothing
            } else {
                Work::Rebuild("its container was made of another image".to_owned())
            };
        }
        let known = Known {
            recipe,
            folders: &inside.folders,
            mounts: &inside.mounts,
            begun: &inside.begun,
        };
        match decide(known, &inside.has, now) {
            Decision::Nothing => Work::Nothing,
            Decision::Bring(bring) => Work::Bring(inside.id.clone(), bring),
            Decision::Rebuild(because) => Work::Rebuild(because),
        }
    }

    /// Takes note of what is begun in its container.
    pub(super) fn begins(&mut self, first: usize, paths: BTreeSet<Vec<u8>>) {
        if let Some(inside) = &mut self.inside {
            inside.begun.first = Some(inside.begun.first.map_or(first, |before| before.min(first)));
            inside.begun.paths.extend(paths);
        }
    }

    /// Takes note that its container has what was in the folder.
    pub(super) fn has(&mut self, context: Arc<BuildContext>) {
        if let Some(inside) = &mut self.inside {
            inside.has = context;
            inside.begun = Begun::default();
        }
    }
}
