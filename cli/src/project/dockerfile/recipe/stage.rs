//! A stage of a Dockerfile while it is read.

use parse_dockerfile::Flag;

use super::{
    Base, Copy, Source, Step,
    words::{Variables, absolute, names_a_folder},
};

/// A stage as far as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage {
    pub(super) name: Option<String>,
    /// The stage before it that it starts from, if it is not an image.
    pub(super) from: Option<usize>,
    /// What it copies files from, beside the context: stages, by name or number, or images.
    pub(super) taken: Vec<String>,
    pub(super) steps: Vec<Step>,
    pub(super) folder: String,
    pub(super) user: String,
    pub(super) shell: Vec<String>,
    pub(super) variables: Variables,
}

/// A stage at its beginning.
pub(super) fn started(
    stages: &[Stage],
    parent: Option<usize>,
    image: Option<&str>,
    base: &dyn Fn(&str) -> Option<Base>,
) -> Stage {
    if let Some(before) = parent.and_then(|at| stages.get(at)) {
        // Arguments of a stage end with it.
        let mut variables = before.variables.clone();
        variables.forget_arguments();
        return Stage {
            from: parent,
            steps: Vec::new(),
            taken: Vec::new(),
            name: None,
            variables,
            ..before.clone()
        };
    }
    let known = match image {
        Some("scratch") => Some(Base::default()),
        Some(name) => base(name),
        None => None,
    };
    let mut stage = Stage::default();
    match known {
        Some(base) => {
            if base.has_triggers {
                stage.unfollowed(Vec::new(), "the image it starts from uses the context");
            }
            stage.folder = base.folder;
            stage.user = base.user;
            stage.shell = base.shell;
        }
        None => stage.unfollowed(Vec::new(), "nothing is known of the image it starts from"),
    }
    stage
}

impl Stage {
    /// Files of the context are used in a way that is not followed.
    pub(super) fn unfollowed(&mut self, sources: Vec<Source>, because: &str) {
        self.steps.push(Step::Unfollowed {
            sources,
            because: because.to_owned(),
        });
    }

    /// `COPY`.
    pub(super) fn copy(
        &mut self,
        flags: &[Flag<'_>],
        (sources, to): (&[parse_dockerfile::Source<'_>], &str),
        is_live: bool,
    ) {
        let mut owner = None;
        let mut mode = None;
        let mut unknown = None;
        for flag in flags {
            let value = flag.value.as_ref().map(|value| value.value.as_ref());
            match (&*flag.name.value, value) {
                // Not of the context.
                ("from", from) => {
                    let from = self.variables.replace(from.unwrap_or_default());
                    self.taken.extend(from);
                    return;
                }
                ("chown", Some(value)) => match self.variables.replace(value) {
                    Some(value) => owner = Some(value),
                    None => unknown = Some("its owner is not known"),
                },
                ("chmod", Some(value)) => match u32::from_str_radix(value, 8) {
                    Ok(value) if value <= 0o7777 => mode = Some(value),
                    _ => unknown = Some("its permissions are not known"),
                },
                ("link", _) => {}
                _ => unknown = Some("it is copied with an option that is not followed"),
            }
        }
        let mut read = Vec::new();
        for source in sources {
            match source {
                parse_dockerfile::Source::Path(path) => {
                    let source = self.variables.replace(unquoted(&path.value));
                    match source.as_deref().and_then(Source::parse) {
                        Some(source) => read.push(source),
                        None => {
                            return self
                                .unfollowed(Vec::new(), "the names of a COPY of it are not known");
                        }
                    }
                }
                // Text of the Dockerfile.
                _ => return,
            }
        }
        let to = self.variables.replace(unquoted(to));
        match (to, unknown) {
            (Some(to), None) => self.steps.push(Step::Copy(Copy {
                is_folder: names_a_folder(&to) || read.len() > 1,
                to: absolute(&self.folder, &to),
                sources: read,
                owner,
                mode,
                is_live,
            })),
            (None, _) => self.unfollowed(read, "where it is copied to is not known"),
            (_, Some(because)) => self.unfollowed(read, because),
        }
    }

    /// `ADD`.
    pub(super) fn add(
        &mut self,
        flags: &[Flag<'_>],
        (sources, to): (&[parse_dockerfile::Source<'_>], &str),
        is_live: bool,
    ) {
        let is_address = |path: &str| path.contains("://") || path.starts_with("git@");
        let paths = || {
            sources.iter().filter_map(|source| match source {
                parse_dockerfile::Source::Path(path) => Some(unquoted(&path.value)),
                _ => None,
            })
        };
        if paths().all(is_address) {
            return;
        }
        // Archives are unpacked, whatever they are called, but for those in a folder.
        let is_folder = |path: &str| path.ends_with('/') || path == ".";
        if paths().all(is_folder) {
            return self.copy(flags, (sources, to), is_live);
        }
        let read = paths().map(|path| Source::parse(&self.variables.replace(path)?));
        let read: Option<Vec<Source>> = read.collect();
        self.unfollowed(read.unwrap_or_default(), "ADD may unpack it");
    }
}

/// A path without the quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}
