//! A Dockerfile's text → [`Recipe`].

use std::collections::BTreeMap;

use parse_dockerfile::{Command, Instruction};
use thiserror::Error;

use super::{
    Base, Recipe, Run, Step,
    stage::{Stage, started, unquoted},
    words::{Variables, absolute},
};
use crate::project::dockerfile::{facts::substitute, live::MARKER};

/// Why a Dockerfile has no recipe.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("its Dockerfile is not understood: {0}")]
pub struct Unread(String);

/// What the context is called where something is mounted from it.
const CONTEXT: &str = "the whole context is used by a command of it";

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    text: &'a str,
    target: Option<&'a str>,
    arguments: &'a BTreeMap<String, String>,
}

/// Reads a Dockerfile. `target` is the stage that is built, if not the last one; `arguments` are the build arguments that the engine
/// gets; `base` says what is known of an image that a stage starts from.
///
/// # Errors
/// [`Unread`], if the engine might see something else in it.
pub fn recipe(
    text: &str,
    target: Option<&str>,
    arguments: &BTreeMap<String, String>,
    base: &dyn Fn(&str) -> Option<Base>,
) -> Result<Recipe, Unread> {
    let asked = Asked {
        text: text.strip_prefix('\u{feff}').unwrap_or(text),
        target,
        arguments,
    };
    let stages = stages(&asked, base)?;
    let built = match asked.target {
        None => stages.len().checked_sub(1),
        Some(target) => by_name(&stages, target).or_else(|| target.parse().ok()),
    };
    let built = built
        .filter(|at| *at < stages.len())
        .ok_or_else(|| Unread("the stage that is built is not in it".to_owned()))?;
    Ok(assembled(&stages, built))
}

/// The steps of the stage that is built, after those of the stages that it starts from; what others do with the context is not followed,
/// nor is what others do with these stages.
fn assembled(stages: &[Stage], built: usize) -> Recipe {
    let chain = chain(stages, built);
    let mut steps = Vec::new();
    for (number, stage) in stages.iter().enumerate().take(built + 1) {
        let is_own = chain.contains(&number);
        let name = stage.name.clone().unwrap_or_else(|| number.to_string());
        let because = format!("stage {name} is made of it");
        let taken = stage.taken.iter();
        let taken = taken.filter_map(|name| by_name(stages, name).or_else(|| name.parse().ok()));
        let from = stage.from.filter(|_| !is_own);
        let mut used: Vec<usize> = taken
            .chain(from)
            .flat_map(|at| self::chain(stages, at))
            .collect();
        used.retain(|at| chain.contains(at));
        used.extend((!is_own).then_some(number));
        for at in used {
            let of_it = stages.get(at).map(|stage| stage.steps.as_slice());
            steps.extend(unfollowed(of_it.unwrap_or_default(), &because));
        }
    }
    for stage in chain.iter().rev().filter_map(|at| stages.get(*at)) {
        steps.extend(stage.steps.iter().cloned());
    }
    Recipe { steps }
}

/// A stage and those that it starts from, the first one last.
fn chain(stages: &[Stage], at: usize) -> Vec<usize> {
    let mut chain = Vec::new();
    let mut next = Some(at);
    while let Some(at) = next {
        chain.push(at);
        let from = stages.get(at).and_then(|stage| stage.from);
        next = from.filter(|from| *from < at);
    }
    chain
}

/// What steps do with the context, none of it followed.
fn unfollowed<'a>(steps: &'a [Step], because: &'a str) -> impl Iterator<Item = Step> + 'a {
    let sources = steps.iter().filter_map(|step| match step {
        Step::Copy(copy) => Some(&copy.sources),
        Step::Unfollowed { sources, .. } => Some(sources),
        Step::Run(_) => None,
    });
    sources.map(|sources| Step::Unfollowed {
        sources: sources.clone(),
        because: because.to_owned(),
    })
}

fn by_name(stages: &[Stage], name: &str) -> Option<usize> {
    stages.iter().rposition(|stage| {
        stage
            .name
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(name))
    })
}

fn stages(asked: &Asked<'_>, base: &dyn Fn(&str) -> Option<Base>) -> Result<Vec<Stage>, Unread> {
    let failed = |error: parse_dockerfile::Error| Unread(format!("{error:#}"));
    let file = parse_dockerfile::parse(asked.text).map_err(failed)?;
    let escape = file
        .parser_directives
        .escape
        .as_ref()
        .map_or('\\', |escape| escape.value.value);
    let marker = asked.text.find(MARKER);
    let mut global: BTreeMap<String, String> = BTreeMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for instruction in &file.instructions {
        match instruction {
            Instruction::From(from) => {
                let image = substitute(&from.image.value, &global);
                let parent = image.as_deref().and_then(|name| by_name(&stages, name));
                let mut stage = started(&stages, parent, image.as_deref(), base);
                stage.name = from.as_.as_ref().map(|(_, name)| name.value.to_string());
                stages.push(stage);
            }
            Instruction::Arg(arg) if stages.is_empty() => {
                let mut variables = Variables::default();
                for (name, value) in &global {
                    variables.argument(
                        name,
                        asked.arguments,
                        &BTreeMap::from([(name.clone(), value.clone())]),
                    );
                }
                variables.argument(&arg.arguments.value, asked.arguments, &BTreeMap::new());
                global = variables.seen().into_iter().collect();
            }
            other => {
                let Some(stage) = stages.last_mut() else {
                    return Err(Unread("it does not begin with FROM".to_owned()));
                };
                let place = Place {
                    asked,
                    global: &global,
                    escape,
                    marker,
                };
                place.instruction(stage, other);
            }
        }
    }
    Ok(stages)
}

/// What is the same for all instructions of a file.
struct Place<'a> {
    asked: &'a Asked<'a>,
    global: &'a BTreeMap<String, String>,
    escape: char,
    marker: Option<usize>,
}

impl Place<'_> {
    fn instruction(&self, stage: &mut Stage, instruction: &Instruction<'_>) {
        match instruction {
            Instruction::Arg(arg) => {
                stage
                    .variables
                    .argument(&arg.arguments.value, self.asked.arguments, self.global);
            }
            Instruction::Env(env) => stage.variables.environment(&env.arguments.value),
            Instruction::Workdir(workdir) => {
                match stage.variables.replace(unquoted(&workdir.arguments.value)) {
                    Some(path) => stage.folder = absolute(&stage.folder, &path),
                    None => stage.unfollowed(Vec::new(), "a WORKDIR of it is not known"),
                }
            }
            Instruction::User(user) => {
                let user = stage.variables.replace(unquoted(&user.arguments.value));
                // As whom nobody knows; the engine refuses such a name.
                stage.user = user.unwrap_or_else(|| user_unknown().to_owned());
            }
            Instruction::Shell(shell) => {
                let words = shell.arguments.iter().map(|word| word.value.to_string());
                stage.shell = words.collect();
            }
            Instruction::Copy(copy) => {
                let is_live = self.is_behind_marker(copy.copy.span.start);
                stage.copy(&copy.options, (&copy.src, &copy.dest.value), is_live);
            }
            Instruction::Add(add) => {
                let is_live = self.is_behind_marker(add.add.span.start);
                stage.add(&add.options, (&add.src, &add.dest.value), is_live);
            }
            Instruction::Run(run) => {
                let step = self.run(stage, run);
                let mounts = run.options.iter().filter(|flag| flag.name.value == "mount");
                let mut mounts =
                    mounts.filter_map(|flag| Some(flag.value.as_ref()?.value.to_string()));
                if mounts.any(|mount| reads_context(&mount)) {
                    stage.unfollowed(Vec::new(), CONTEXT);
                }
                stage.steps.push(Step::Run(step));
            }
            _ => {}
        }
    }

    fn is_behind_marker(&self, at: usize) -> bool {
        self.marker.is_some_and(|marker| marker < at)
    }

    fn run(&self, stage: &Stage, run: &parse_dockerfile::RunInstruction<'_>) -> Run {
        let (text, command) = match &run.arguments {
            Command::Exec(words) => {
                let words: Vec<String> = words
                    .value
                    .iter()
                    .map(|word| word.value.to_string())
                    .collect();
                (words.join(" "), words)
            }
            Command::Shell(text) => {
                let text = joined(text.value, self.escape);
                let shell = if stage.shell.is_empty() {
                    vec!["/bin/sh".to_owned(), "-c".to_owned()]
                } else {
                    stage.shell.clone()
                };
                (text.clone(), shell.into_iter().chain([text]).collect())
            }
            _ => (String::new(), Vec::new()),
        };
        let command = if !run.here_docs.is_empty() {
            Err("it is a document")
        } else if run.options.iter().any(|flag| flag.name.value == "mount") {
            Err("it has mounts that are there in builds only")
        } else if !run.options.is_empty() {
            Err("it has options that are there in builds only")
        } else if command.is_empty() || stage.user == user_unknown() {
            Err("it is not understood")
        } else {
            Ok(command)
        };
        Run {
            text,
            command,
            folder: if stage.folder.is_empty() {
                "/".to_owned()
            } else {
                stage.folder.clone()
            },
            user: stage.user.clone(),
            variables: stage.variables.seen(),
        }
    }
}

/// A user that nobody can have.
fn user_unknown() -> &'static str {
    "\0"
}

/// Whether a mount of a command shows it files of the context.
fn reads_context(mount: &str) -> bool {
    let mut parts = mount.split(',').map(str::trim);
    let kind = parts.clone().find_map(|part| part.strip_prefix("type="));
    matches!(kind, None | Some("bind")) && !parts.any(|part| part.starts_with("from="))
}

/// A command in one line, without the comments between its lines.
fn joined(text: &str, escape: char) -> String {
    let mut whole = String::new();
    for (number, line) in text.lines().enumerate() {
        if number > 0 && (line.trim_start().starts_with('#') || line.trim().is_empty()) {
            continue;
        }
        match line.trim_end().strip_suffix(escape) {
            Some(line) => whole.push_str(line),
            None => whole.push_str(line),
        }
    }
    whole.trim().to_owned()
}
