//! `extends`: a service that starts from another one.
//!
//! In: a file's services. Out: the same services, each with what it extends merged under it. Other files are read only
//! inside the project's folder.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{document, merge, report::Report, spelling, typed};
use crate::project::yaml::{Entry, Node, Place, Value};

/// The longest way from a service to the one that it extends in the end.
const MAX_CHAIN: usize = 32;

/// Resolves all `extends` of one file.
pub(super) struct Extends<'a> {
    pub(super) root: &'a Path,
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) documents: HashMap<PathBuf, Option<Rc<Node>>>,
    /// Services of circles that have been reported.
    pub(super) circles: BTreeSet<(PathBuf, String)>,
}

/// Where a service stands: the file it is in and the folder from which that file's paths count.
#[derive(Clone, Copy)]
struct Home<'a> {
    document: &'a Node,
    file: &'a Path,
    folder: &'a Path,
}

/// A service on the way from the one that extends to the one extended last.
type Chain = Vec<(PathBuf, String)>;

impl Extends<'_> {
    /// Replaces every service of `document` by what it is with `extends` applied.
    pub(super) fn resolve(
        &mut self,
        report: &mut Report,
        document: Node,
        file: &Path,
        folder: &Path,
    ) -> Node {
        let uses = |entry: &Entry| entry.value.get("extends").is_some();
        let services = document.get("services").map(|services| &services.value);
        let Some(Value::Map(services)) = services else {
            return document;
        };
        if !services.iter().any(uses) {
            return document;
        }
        let home = Home {
            document: &document,
            file,
            folder,
        };
        let mut done = Vec::new();
        for entry in services {
            let value = self.service(report, home, entry, &mut Vec::new());
            done.push(Entry {
                value,
                ..entry.clone()
            });
        }
        let mut document = document;
        if let Value::Map(entries) = &mut document.value
            && let Some(entry) = entries.iter_mut().find(|entry| entry.key == "services")
        {
            entry.value.value = Value::Map(done);
        }
        document
    }

    fn service(
        &mut self,
        report: &mut Report,
        home: Home<'_>,
        entry: &Entry,
        chain: &mut Chain,
    ) -> Node {
        let mut own = entry.value.clone();
        let Value::Map(entries) = &mut own.value else {
            return own;
        };
        let Some(position) = entries.iter().position(|entry| entry.key == "extends") else {
            return own;
        };
        let extends = entries.remove(position);
        let here = (home.file.to_owned(), entry.key.clone());
        if chain.contains(&here) {
            let circle: Vec<_> = chain
                .iter()
                .skip_while(|link| **link != here)
                .chain([&here])
                .cloned()
                .collect();
            if !self.circles.contains(&here) {
                let path: Vec<_> = circle.iter().map(|(_, name)| name.as_str()).collect();
                report.error(
                    extends.at,
                    format!(
                        "services extend each other in a circle: {}",
                        path.join(" → ")
                    ),
                );
            }
            self.circles.extend(circle);
            return own;
        }
        if chain.len() >= MAX_CHAIN {
            report.error(
                extends.at,
                format!("services extend each other over more than {MAX_CHAIN} steps"),
            );
            return own;
        }
        chain.push(here);
        let base = self.base(report, home, &extends, chain);
        chain.pop();
        match base {
            Some(base) => {
                let base = without_rival_network(base, &own);
                merge::services(report, base, own)
            }
            None => own,
        }
    }

    /// The service that is extended, itself resolved.
    fn base(
        &mut self,
        report: &mut Report,
        home: Home<'_>,
        extends: &Entry,
        chain: &mut Chain,
    ) -> Option<Node> {
        let (name, file) = target(report, extends)?;
        let Some((file, file_at)) = file else {
            let Some(entry) = home
                .document
                .get("services")
                .and_then(|services| services.entry(&name))
            else {
                report.error(
                    extends.value.at,
                    format!("extends names the service {name}, which this file does not have"),
                );
                return None;
            };
            return Some(self.service(report, home, entry, chain));
        };
        let path = self.inside(report, &home.folder.join(&file), file_at)?;
        let document = if let Some(document) = self.documents.get(&path) {
            document.clone()?
        } else {
            let read = self.open(report, &path, file_at).map(Rc::new);
            self.documents.insert(path.clone(), read.clone());
            read?
        };
        let folder = path.parent().unwrap_or(self.root);
        let Some(entry) = document
            .get("services")
            .and_then(|services| services.entry(&name))
        else {
            report.error(extends.value.at, format!("{file} has no service {name}"));
            return None;
        };
        let home = Home {
            document: &document,
            file: &path,
            folder,
        };
        let mut base = self.service(report, home, entry, chain);
        rebase(&mut base, folder);
        Some(base)
    }

    fn inside(&self, report: &mut Report, path: &Path, at: Place) -> Option<PathBuf> {
        match fs_err::canonicalize(path) {
            Ok(real) if real.starts_with(self.root) => Some(real),
            Ok(real) => {
                report.error(
                    at,
                    format!(
                        "extends names {}, which lies outside the project's folder",
                        real.display()
                    ),
                );
                None
            }
            Err(_) => {
                report.error(
                    at,
                    format!("extends names {}, which does not exist", path.display()),
                );
                None
            }
        }
    }

    fn open(&self, report: &mut Report, path: &Path, at: Place) -> Option<Node> {
        match super::read_text(path) {
            Ok(text) => document::read(report, path, &text, self.environment),
            Err(why) => {
                report.error(at, format!("extends names {}, which {why}", path.display()));
                None
            }
        }
    }
}

/// The service and the file that `extends` names.
fn target(report: &mut Report, extends: &Entry) -> Option<(String, Option<(String, Place)>)> {
    let Value::Map(entries) = &extends.value.value else {
        return Some((typed::text(report, "extends", &extends.value)?, None));
    };
    spelling::only(report, "extends", entries, &["service", "file"]);
    let Some(service) = extends.value.get("service") else {
        report.error(extends.at, "extends needs the key service");
        return None;
    };
    let name = typed::text(report, "extends.service", service)?;
    let file = match extends.value.get("file") {
        Some(node) => Some((typed::text(report, "extends.file", node)?, node.at)),
        None => None,
    };
    Some((name, file))
}

/// Makes the paths of a service from another folder absolute.
fn rebase(service: &mut Node, folder: &Path) {
    let Value::Map(entries) = &mut service.value else {
        return;
    };
    for entry in entries {
        match entry.key.as_str() {
            "build" => match &mut entry.value.value {
                Value::Scalar(_) => rebase_text(&mut entry.value, folder),
                Value::Map(build) => {
                    for part in build.iter_mut().filter(|part| part.key == "context") {
                        rebase_text(&mut part.value, folder);
                    }
                }
                Value::List(_) => {}
            },
            "env_file" | "label_file" => match &mut entry.value.value {
                Value::Scalar(_) => rebase_text(&mut entry.value, folder),
                Value::List(items) => items.iter_mut().for_each(|item| rebase_file(item, folder)),
                Value::Map(_) => {}
            },
            _ => {}
        }
    }
}

fn rebase_file(item: &mut Node, folder: &Path) {
    match &mut item.value {
        Value::Map(parts) => {
            for part in parts.iter_mut().filter(|part| part.key == "path") {
                rebase_text(&mut part.value, folder);
            }
        }
        Value::Scalar(_) => rebase_text(item, folder),
        Value::List(_) => {}
    }
}

fn rebase_text(node: &mut Node, folder: &Path) {
    if let Value::Scalar(scalar) = &mut node.value
        && !scalar.text.contains("://")
        && let Some(path) = folder.join(&scalar.text).to_str()
    {
        path.clone_into(&mut scalar.text);
    }
}

/// A service that chooses its network one way drops what it would inherit the other way.
fn without_rival_network(mut base: Node, own: &Node) -> Node {
    if let Value::Map(entries) = &mut base.value {
        for (mine, theirs) in [("network_mode", "networks"), ("networks", "network_mode")] {
            if own.get(mine).is_some() {
                entries.retain(|entry| entry.key != theirs);
            }
        }
    }
    base
}
