//! The images of a fleet's release, out of the registry of its cloud.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    made::{Made, Part},
    maker::Maker,
};
use crate::{
    cloud::{
        Cloud, Guest,
        releases::{Fleet, Release, ReleaseState, Service, Wanted},
    },
    commands::Context,
    engine::{EngineError, ImageRef, PullEvent},
    failure::{Failure, Kind},
    preload::{self, Joined},
    transport::cloud_tunnel::Token,
    ui::render,
};

/// What a cloud says of a release.
pub(super) struct Found {
    guest: Guest,
    fleet: Fleet,
    release: Release,
    state: ReleaseState,
}

/// Asks the cloud for a release. Nothing is fetched yet.
pub(super) async fn find(
    context: &Context,
    token: Option<Token>,
    (fleet, wanted): (&str, &Wanted),
) -> Result<Found, Failure> {
    let (guest, is_unnamed) = Guest::wanted(&context.environment, token)?;
    render::release::asked(&context.console, &guest, is_unnamed);
    let cloud = Cloud::open(&guest);
    let fleet = cloud.fleet(fleet).await?;
    let release = cloud.release(&fleet, wanted).await?;
    let state = cloud.state(&fleet, &release).await?;
    render::release::found(&context.console, &fleet, &release);
    Ok(Found {
        guest,
        fleet,
        release,
        state,
    })
}

impl Found {
    /// Refuses an image whose devices would obey somebody else, or run none of it.
    pub(super) fn check(
        &self,
        context: &Context,
        image: &Path,
        (joined, arch): (&Joined, Option<&str>),
    ) -> Result<(), Failure> {
        preload::fits(joined, arch, &self.fleet, &self.guest.domain)?;
        if joined.api.is_none() {
            render::release::alone(&context.console, image);
        }
        Ok(())
    }

    /// It, for programs.
    pub(super) fn json(&self) -> Value {
        render::release::json(&self.fleet, &self.release)
    }

    /// Says what would be done.
    pub(super) async fn tell(&self, context: &Context, image: &Path) -> Result<(), Failure> {
        let services = self.state.services.iter();
        let ids: Vec<u64> = services.filter_map(|service| service.image_id).collect();
        // Without them it is told all the same.
        let sizes = Cloud::open(&self.guest).image_sizes(&ids).await;
        let sizes: BTreeMap<u64, u64> = sizes.unwrap_or_default();
        Ok(render::release::planned(
            &context.console,
            image,
            (&self.fleet, &self.release),
            (&self.state, &sizes),
        )?)
    }

    /// Lets an engine fetch the images, each with what the cloud gives for that alone. What a lent one has for no longer than until they are
    /// handed on is noted in `passing`.
    pub(super) async fn fetch(
        &self,
        context: &Context,
        maker: &Maker,
        passing: &mut Vec<String>,
    ) -> Result<Made, Failure> {
        let mut made = Made {
            parts: Vec::new(),
            apps: self.state.preloaded(),
        };
        for service in &self.state.services {
            let image = self.fetched(context, maker, service, passing);
            let image = image.await?;
            made.parts.push(Part {
                service: service.name.clone(),
                image,
            });
        }
        Ok(made)
    }

    /// Fetches an image that the engine has not, and returns the name that it has in an archive.
    async fn fetched(
        &self,
        context: &Context,
        maker: &Maker,
        service: &Service,
        passing: &mut Vec<String>,
    ) -> Result<String, Failure> {
        let reference = &service.image.reference;
        let image = ImageRef::parse(reference);
        let engine = &maker.engine;
        let failed = |error: EngineError| unfetched(service, &error);
        let is_there = engine.image_id(reference).await.map_err(failed)?.is_some();
        if !is_there || image.digest.is_none() {
            let cloud = Cloud::open(&self.guest);
            let token = cloud.registry_token(&service.image).await?;
            let auth = token.auth_header();
            let progress = render::preload::Progress::new(&context.console);
            let told = |event: PullEvent| {
                progress.fetched(&service.name, event.current, event.total);
            };
            if maker.is_lent && !is_there && image.digest.is_some() {
                // Noted before it comes: nothing may stay of it, however this ends.
                passing.push(reference.clone());
            }
            let pull = engine.pull(&image, Some(&auth), maker.room, told);
            pull.await.map_err(failed)?;
        }
        let name = match agent_api::preload::archived_name(reference) {
            None => image.to_string(),
            Some(name) => {
                // A device that was preloaded itself goes on to know it by that.
                let is_known = engine.image_id(&name).await.map_err(failed)?.is_some();
                let archived = ImageRef::parse(&name);
                engine.tag(reference, &archived).await.map_err(failed)?;
                if maker.is_lent && !is_there && !is_known {
                    // With the last tag the digest goes, too.
                    passing.push(name.clone());
                }
                name
            }
        };
        Ok(name)
    }
}

/// Why an image was not fetched.
fn unfetched(service: &Service, error: &EngineError) -> Failure {
    let failure = Failure::from_error(Kind::Device, error);
    match error {
        EngineError::Pull { .. } => failure.hint(format!(
            "the image of {} is in the registry {}, which the engine has to reach and to trust: its journal says more; the image is as it was",
            service.name, service.image.registry
        )),
        _ => failure.hint("the image is as it was"),
    }
}
