//! A fleet with its releases, as the API of its cloud tells of it. The wire is that of the recorded exchanges (`wire/cloud/023`, `048`, `104`,
//! `101`).
//!
//! In: releases with their images. Out: answers, for [`crate::Cloud`].

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use crate::issuer::Issuer;

/// A fleet.
#[derive(Debug)]
pub struct Fleet {
    /// Its number.
    pub id: u64,
    /// Its uuid.
    pub uuid: String,
    /// Organisation and name.
    pub slug: String,
    /// Type and processor of its devices.
    pub device_type: (String, String),
    /// Whether whoever comes may see it.
    pub is_open: bool,
    /// Which release it is to run.
    pub running: Option<String>,
    /// The newest first.
    pub releases: Vec<Release>,
    /// Who lets into the registry.
    pub issuer: Issuer,
    /// What is granted of an image.
    pub grants: Vec<&'static str>,
}

/// A release.
#[derive(Debug)]
pub struct Release {
    /// Its name.
    pub commit: String,
    /// Its version.
    pub version: String,
    /// Whether it is no draft.
    pub is_final: bool,
    /// Whether somebody said that it is not to be used.
    pub is_invalidated: bool,
    /// Name, image, and composition of its services.
    pub services: Vec<(String, String, Value)>,
}

impl Release {
    /// One that devices may run.
    pub fn new(commit: &str, services: Vec<(String, String, Value)>) -> Self {
        Self {
            commit: commit.to_owned(),
            version: "1.2.3".to_owned(),
            is_final: true,
            is_invalidated: false,
            services,
        }
    }
}

impl Fleet {
    /// One of amd64 boards, that only those who are let in see.
    pub fn new(slug: &str, uuid: &str, releases: Vec<Release>) -> Self {
        Self {
            id: 12,
            uuid: uuid.to_owned(),
            slug: slug.to_owned(),
            device_type: ("generic-amd64".to_owned(), "amd64".to_owned()),
            is_open: false,
            running: None,
            releases,
            issuer: Issuer::default(),
            grants: vec!["pull"],
        }
    }

    /// What devices of the fleet are told of a release, without what is a device's own.
    pub fn apps(&self, release: &Release) -> Value {
        let services: Map<String, Value> = (1..)
            .zip(&release.services)
            .map(|(id, (name, image, composition))| {
                let service = json!({
                    "id": id, "image_id": id + 100, "image": image, "environment": {"COLOUR": "blue"}, "labels": {},
                    "composition": composition,
                });
                (name.clone(), service)
            })
            .collect();
        let release = json!({release.commit.clone(): {"id": 7, "services": services, "networks": {}, "volumes": {}}});
        json!({self.uuid.clone(): {"id": self.id, "name": "fleet", "is_host": false, "class": "fleet", "releases": release}})
    }

    /// The answer to a request for this path, unescaped, of somebody who is let in or not; `None`: there is nothing.
    pub(crate) fn answer(&self, path: &str, is_known: bool) -> Option<Value> {
        let sees = is_known || self.is_open;
        let rows = |rows: Vec<Value>| Some(json!({ "d": if sees { rows } else { Vec::new() } }));
        if path.starts_with("/v7/application?") {
            let name = self.slug.split('/').next_back().unwrap_or_default();
            let is_named = path.contains(&format!("app_name eq '{name}'"));
            let is_of_ours = path.contains("is_directly_accessible_by__user/any(dau:1 eq 1)");
            let is_meant = path.contains(&format!("slug eq '{}'", self.slug))
                || path.contains(&format!("uuid eq '{}'", self.uuid))
                || (is_named && (is_known || !is_of_ours));
            let running = self.running.iter().map(|commit| json!({"commit": commit}));
            let (slug, arch) = &self.device_type;
            let row = json!({
                "id": self.id, "uuid": self.uuid, "slug": self.slug, "should_be_running__release": running.collect::<Vec<_>>(),
                "is_for__device_type": [{"slug": slug, "is_of__cpu_architecture": [{"slug": arch}]}],
            });
            let mut found = if is_meant {
                vec![row.clone()]
            } else {
                Vec::new()
            };
            if is_named && !is_of_ours {
                // Everybody's public fleets are there, too.
                let mut strange = row;
                strange["slug"] = json!(format!("mallory/{name}"));
                strange["uuid"] = json!("f".repeat(32));
                found.insert(0, strange);
            }
            return rows(found);
        }
        if path.starts_with("/v7/release?") {
            return rows(self.release_rows(path));
        }
        if path.starts_with("/v7/image?") {
            let ids = (101..104).map(|id| json!({"id": id, "image_size": "1990000"}));
            return rows(ids.collect());
        }
        let state = format!("/device/v3/fleet/{}/state?releaseUuid=", self.uuid);
        let commit = path.strip_prefix(&state).filter(|_| sees)?;
        let release = self.releases.iter().find(|one| one.commit == commit)?;
        let config = json!({"RESIN_SUPERVISOR_POLL_INTERVAL": "600000"});
        Some(
            json!({self.uuid.clone(): {"name": "fleet", "apps": self.apps(release), "config": config}}),
        )
    }

    fn release_rows(&self, path: &str) -> Vec<Value> {
        let prefix = path.split_once("startswith(commit,'").map(|(_, rest)| rest);
        let prefix = prefix.and_then(|rest| rest.split('\'').next());
        let top = path.rsplit_once("$top=").map(|(_, top)| top);
        let top = top.and_then(|top| top.parse().ok()).expect("a limit");
        let is_good = path.contains("is_final eq true");
        let releases = self.releases.iter();
        releases
            .filter(|one| prefix.is_none_or(|prefix| one.commit.starts_with(prefix)))
            .filter(|one| !is_good || (one.is_final && !one.is_invalidated))
            .take(top)
            .map(|one| {
                json!({"commit": one.commit, "raw_version": one.version, "is_final": one.is_final, "is_invalidated": one.is_invalidated})
            })
            .collect()
    }

    /// What lets into the registry whoever asks so: `None` for who shows what is not known.
    pub(crate) fn registry_token(&self, path: &str, shown: Shown, token: &str) -> Option<Value> {
        let is_known = match shown {
            Shown::Nothing => false,
            Shown::Bearer(bearer) => {
                if bearer != token {
                    return None;
                }
                // A session has three parts; a key is a password.
                bearer.split('.').count() == 3
            }
            Shown::Basic(basic) => {
                let pair = BASE64_STANDARD.decode(basic).ok()?;
                let pair = String::from_utf8(pair).ok()?;
                if pair.split_once(':')?.1 != token {
                    return None;
                }
                true
            }
        };
        let query = path.split_once('?')?.1;
        let value = |name: &str| {
            let mut pairs = query.split('&');
            pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let scope = value("scope")?.strip_prefix("repository:")?;
        let repository = scope.strip_suffix(":pull")?;
        let grants: &[&str] = if is_known || self.is_open {
            &self.grants
        } else {
            &[]
        };
        let token = self.issuer.token(value("service")?, repository, grants);
        Some(json!({ "token": token }))
    }
}

/// What somebody shows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown<'a> {
    Nothing,
    Bearer(&'a str),
    Basic(&'a str),
}
