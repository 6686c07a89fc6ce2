//! Images in an engine that are to be preloaded: looked at, and handed over as one archive.

use std::{collections::BTreeSet, fs::File};

use super::maker::Maker;
use crate::{
    commands::Context,
    engine::EngineError,
    failure::{Failure, Kind},
    preload,
    ui::render,
};

/// The image of a service.
pub(super) struct Part {
    pub(super) service: String,
    /// Its name in the engine, and in the archive.
    pub(super) image: String,
}

/// All that is to be preloaded.
pub(super) struct Made {
    pub(super) parts: Vec<Part>,
    /// The target, as the agent reads it.
    pub(super) apps: Vec<u8>,
}

impl Made {
    /// Refuses images that the board would not run.
    pub(super) async fn check(
        &self,
        maker: &Maker,
        arch: Option<&str>,
        is_built: bool,
    ) -> Result<(), Failure> {
        for part in &self.parts {
            let platform = maker.engine.platform(&part.image).await;
            let platform = platform.map_err(|error| Failure::from_error(Kind::Device, &error))?;
            if preload::board_runs(arch, &platform) {
                continue;
            }
            let words = format!(
                "the image of {} is for {}, and the image's devices are {}",
                part.service,
                preload::arch_word(&platform),
                arch.unwrap_or("unknown")
            );
            let failure = Failure::new(Kind::Build, words);
            return Err(if is_built {
                failure
                    .hint("`--on DEVICE` builds on a device of that kind")
                    .hint("`platform` in the compose file or `FROM --platform` says another one where the engine can; --dont-check-arch takes it as it is")
            } else {
                failure.hint("--dont-check-arch takes it as it is")
            });
        }
        Ok(())
    }

    /// The images of all services in one file, whole.
    pub(super) async fn export(
        &self,
        context: &Context,
        maker: &Maker,
        mut archive: File,
    ) -> Result<File, Failure> {
        // Services may share one.
        let names: BTreeSet<&String> = self.parts.iter().map(|part| &part.image).collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let progress = render::preload::Progress::new(&context.console);
        let exported = maker
            .engine
            .export(&names, &mut archive, |bytes| progress.exported(bytes));
        exported.await.map_err(|error| unexported(&error))?;
        preload::is_whole(&archive, &names)?;
        Ok(archive)
    }

    /// The services.
    pub(super) fn services(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.service.clone()).collect()
    }
}

/// Why there is no archive.
fn unexported(error: &EngineError) -> Failure {
    let kind = match error {
        EngineError::Unkept { .. } => Kind::Other,
        _ => Kind::Device,
    };
    Failure::from_error(kind, error)
        .hint("the image is as it was; beside it there has to be room for the images three times")
}
