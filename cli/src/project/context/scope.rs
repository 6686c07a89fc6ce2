//! Which ignore file holds where in a context.
//!
//! Normally one file holds for the whole project: the project's own `.dockerignore`, whose patterns are relative to the project, also
//! for a service whose context is a folder of the project. With `--multi-dockerignore` every service's folder obeys its own file,
//! even where that folder lies in the context of another service. A context outside the project obeys the file in it. In all
//! cases a file named like the Dockerfile with `.dockerignore` behind it holds instead, as it does for Docker's newer builder.

use std::{
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::error::{ContextError, unreadable};
use crate::project::{
    ignore::{FILE_LIMIT, Folder, Rules},
    regular_file,
};

/// An ignore file with the folder that its patterns are relative to.
#[derive(Debug)]
struct Scope {
    folder: PathBuf,
    file: PathBuf,
    rules: Rules,
}

/// The ignore files of a context.
#[derive(Debug)]
pub(super) struct Scopes {
    /// The first one holds for the context, the others for folders in it.
    scopes: Vec<Scope>,
    /// Whether the first one is the context's own `.dockerignore`, which the engine reads again.
    own: bool,
}

/// Where a path stands: in which scope, and what it is called there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    scope: usize,
    path: Vec<u8>,
}

impl Place {
    /// The place of something in this folder.
    pub(super) fn join(&self, name: &[u8]) -> Self {
        let path = if self.path.is_empty() {
            name.to_vec()
        } else {
            [&self.path, b"/".as_slice(), name].concat()
        };
        Self {
            scope: self.scope,
            path,
        }
    }
}

/// What decides which ignore files hold. All paths are absolute and real (without links).
#[derive(Debug)]
pub(super) struct ScopeRequest<'a> {
    pub(super) project_root: &'a Path,
    pub(super) context: &'a Path,
    pub(super) dockerfile: &'a Path,
    /// Contexts of all services, when each obeys its own ignore file.
    pub(super) each: Option<&'a [PathBuf]>,
}

impl Scopes {
    /// Reads the ignore files that hold for a context.
    pub(super) fn read(request: &ScopeRequest<'_>) -> Result<Self, ContextError> {
        let context = request.context;
        let mut named = request.dockerfile.as_os_str().to_owned();
        named.push(".dockerignore");
        let named = PathBuf::from(named);
        let first = if named.is_file() {
            Scope::read(context, named)?
        } else if request.each.is_none() && context.starts_with(request.project_root) {
            Scope::read(
                request.project_root,
                request.project_root.join(".dockerignore"),
            )?
        } else {
            Scope::read(context, context.join(".dockerignore"))?
        };
        let own = first.file == context.join(".dockerignore");
        let mut scopes = vec![first];
        for folder in request.each.into_iter().flatten() {
            if folder != context
                && folder.starts_with(context)
                && !scopes.iter().any(|scope| scope.folder == *folder)
            {
                scopes.push(Scope::read(folder, folder.join(".dockerignore"))?);
            }
        }
        Ok(Self { scopes, own })
    }

    /// Whether the context's own `.dockerignore` holds.
    pub(super) fn own(&self) -> bool {
        self.own
    }

    /// The ignore file that holds for the context.
    pub(super) fn file(&self) -> Option<&Path> {
        self.scopes.first().map(|scope| scope.file.as_path())
    }

    /// Whether this ignore file is one of those that hold.
    pub(super) fn uses(&self, file: &Path) -> bool {
        self.scopes.iter().any(|scope| scope.file == file)
    }

    /// The place of the context itself.
    pub(super) fn start(&self, context: &Path) -> (Place, Option<Folder>) {
        let mut place = Place {
            scope: 0,
            path: Vec::new(),
        };
        let mut state = None;
        let Some(scope) = self.scopes.first() else {
            return (place, state);
        };
        for part in context.strip_prefix(&scope.folder).into_iter().flatten() {
            place = place.join(part.as_bytes());
            state = Some(scope.rules.folder(&place.path, state.as_ref()));
        }
        (place, state)
    }

    /// The place of a folder, and what its content needs to know of it.
    pub(super) fn enter(
        &self,
        full: &Path,
        place: Place,
        parent: Option<&Folder>,
    ) -> (Place, Option<Folder>) {
        if let Some(scope) = self
            .scopes
            .iter()
            .skip(1)
            .position(|scope| scope.folder == full)
        {
            return (
                Place {
                    scope: scope + 1,
                    path: Vec::new(),
                },
                None,
            );
        }
        let state = self
            .rules(place.scope)
            .map(|rules| rules.folder(&place.path, parent));
        (place, state)
    }

    /// Whether the rules ignore something that is no folder.
    pub(super) fn ignores(&self, place: &Place, parent: Option<&Folder>) -> bool {
        self.rules(place.scope)
            .is_some_and(|rules| rules.ignores(&place.path, parent))
    }

    /// Whether an ignored folder may hold something that is kept.
    pub(super) fn worth_entering(
        &self,
        full: &Path,
        place: &Place,
        state: Option<&Folder>,
    ) -> bool {
        self.scopes
            .iter()
            .skip(1)
            .any(|scope| scope.folder.starts_with(full))
            || state
                .zip(self.rules(place.scope))
                .is_some_and(|(state, rules)| rules.worth_entering(&place.path, state))
    }

    fn rules(&self, scope: usize) -> Option<&Rules> {
        self.scopes.get(scope).map(|scope| &scope.rules)
    }
}

impl Scope {
    fn read(folder: &Path, file: PathBuf) -> Result<Self, ContextError> {
        let text = read(&file)?.unwrap_or_default();
        Ok(Self {
            folder: folder.to_owned(),
            rules: Rules::of_project(&file, &text)?,
            file,
        })
    }
}

/// The bytes of an ignore file (one more than allowed at most); `None` when there is none.
pub(super) fn read(file: &Path) -> Result<Option<Vec<u8>>, ContextError> {
    let failed = |error| unreadable(file.to_owned(), error);
    let Some(opened) = regular_file::open(file).map_err(failed)? else {
        return Ok(None);
    };
    let mut text = Vec::new();
    opened
        .take(FILE_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    Ok(Some(text))
}
