//! Brings what was decided into a container.

use std::{error::Error, sync::Arc};

use super::{LiveEvent, decide::Bring, owners::Lists};
use crate::{
    engine::{Engine, EngineError, exec::ExecRequest},
    project::{
        context::{BuildContext, Content, ContextError, Placed},
        dockerfile::Run,
    },
};

/// Bytes of paths that one program is given at most.
const ARGUMENTS: usize = 64 << 10;
/// Bytes of a line of a command at most; what is longer is told in pieces.
const LINE: usize = 8 << 10;

/// Where it is brought to.
pub(super) struct Asked<'a> {
    pub(super) engine: &'a Engine,
    pub(super) container: &'a str,
    pub(super) service: &'a str,
    /// What is in the folder.
    pub(super) context: &'a Arc<BuildContext>,
    pub(super) tell: &'a (dyn Fn(LiveEvent) + Send + Sync),
}

/// How that ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    Done,
    /// A command failed.
    Failed,
    /// A file was written to while it was sent.
    Changing,
    /// It cannot be done in this container.
    Impossible(String),
}

/// Brings it.
///
/// # Errors
/// When the engine cannot be reached.
pub(super) async fn bring(asked: &Asked<'_>, bring: &Bring<'_>) -> Result<Brought, EngineError> {
    match all(asked, bring).await {
        Ok(brought) => Ok(brought),
        Err(EngineError::Status {
            status, message, ..
        }) => Ok(Brought::Impossible(format!(
            "the engine answers {status}: {message}"
        ))),
        Err(EngineError::Unwritten(error)) if is_changing(&*error) => Ok(Brought::Changing),
        Err(error) => Err(error),
    }
}

fn is_changing(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error
        .downcast_ref::<ContextError>()
        .is_some_and(ContextError::is_transient)
}

async fn all(asked: &Asked<'_>, bring: &Bring<'_>) -> Result<Brought, EngineError> {
    let service = || asked.service.to_owned();
    let files = bring.put.iter();
    let files = files.filter(|(_, spot)| spot.item.content != Content::Folder);
    (asked.tell)(LiveEvent::Bringing {
        service: service(),
        put: files.count(),
        removed: bring.remove.len(),
    });
    let placed = match placed(asked, bring).await? {
        Ok(placed) => placed,
        Err(because) => return Ok(Brought::Impossible(because)),
    };
    for (program, paths, must) in [
        (&["rm", "-rf", "--"][..], &bring.remove, true),
        (&["rmdir", "--"][..], &bring.remove_folders, false),
    ] {
        if !remove(asked, program, paths).await? && must {
            let because = "its container cannot remove files by itself";
            return Ok(Brought::Impossible(because.to_owned()));
        }
    }
    if !placed.is_empty() {
        let context = Arc::clone(asked.context);
        let put = asked.engine.put_archive(asked.container, b"/", move |out| {
            Ok(context.write_placed(&placed, out)?)
        });
        put.await?;
    }
    for run in &bring.run {
        let Ok(command) = &run.command else { continue };
        (asked.tell)(LiveEvent::Running {
            service: service(),
            command: run.text.clone(),
        });
        let code = command_ends(asked, run, command).await?;
        if code != 0 {
            (asked.tell)(LiveEvent::Failed {
                service: service(),
                command: run.text.clone(),
                code,
            });
            return Ok(Brought::Failed);
        }
    }
    if bring.restart {
        asked.engine.restart_container(asked.container).await?;
    }
    Ok(Brought::Done)
}

/// What is written, with the owners' numbers; why that cannot be, otherwise.
async fn placed(
    asked: &Asked<'_>,
    bring: &Bring<'_>,
) -> Result<Result<Vec<Placed>, String>, EngineError> {
    let has_names = bring.put.iter().any(|(_, spot)| spot.copy.owner.is_some());
    let lists = if has_names {
        Lists::read(asked.engine, asked.container).await?
    } else {
        Lists::default()
    };
    let placed = bring.put.iter().map(|(path, spot)| {
        let owner = match &spot.copy.owner {
            Some(owner) => lists
                .numbers(owner)
                .ok_or_else(|| format!("its container does not know the owner {owner}"))?,
            None => (0, 0),
        };
        Ok(Placed {
            number: spot.item.number,
            path: path.clone(),
            mode: spot.mode(),
            owner,
        })
    });
    Ok(placed.collect())
}

/// Has paths removed by a program of the container. Returns whether it did.
async fn remove(
    asked: &Asked<'_>,
    program: &[&str],
    paths: &[Vec<u8>],
) -> Result<bool, EngineError> {
    let mut rest = paths;
    while !rest.is_empty() {
        let mut length = 0;
        let taken = rest.iter().take_while(|path| {
            let is_first = length == 0;
            length += path.len() + 1;
            is_first || length < ARGUMENTS
        });
        let (some, others) = rest.split_at_checked(taken.count()).unwrap_or((rest, &[]));
        rest = others;
        let mut command: Vec<String> = program.iter().map(|&word| word.to_owned()).collect();
        for path in some {
            match String::from_utf8(path.clone()) {
                Ok(path) => command.push(path),
                // The engine takes text only.
                Err(_) => return Ok(false),
            }
        }
        let request = ExecRequest {
            container: asked.container.to_owned(),
            command,
            user: Some("0".to_owned()),
            ..ExecRequest::default()
        };
        if run(asked.engine, &request, &mut |_| {}).await? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a command of the Dockerfile, and tells its lines.
async fn command_ends(
    asked: &Asked<'_>,
    step: &Run,
    command: &[String],
) -> Result<i64, EngineError> {
    let variables = step.variables.iter();
    let variables = variables.map(|(name, value)| format!("{name}={value}"));
    let user = if step.user.is_empty() {
        "0"
    } else {
        &step.user
    };
    let request = ExecRequest {
        container: asked.container.to_owned(),
        command: command.to_vec(),
        user: Some(user.to_owned()),
        environment: variables.collect(),
        folder: Some(step.folder.clone()),
        terminal: None,
    };
    let mut tell = |line: &[u8]| {
        (asked.tell)(LiveEvent::Line {
            service: asked.service.to_owned(),
            line: String::from_utf8_lossy(line).into_owned(),
        });
    };
    run(asked.engine, &request, &mut tell).await
}

/// Runs a program to its end, and gives its lines.
async fn run(
    engine: &Engine,
    request: &ExecRequest,
    line: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<i64, EngineError> {
    let mut exec = engine.exec(request).await?;
    let mut text: Vec<u8> = Vec::new();
    while let Some((_, bytes)) = exec.output.next().await? {
        for &byte in &bytes {
            if byte == b'\n' || text.len() >= LINE {
                line(&text);
                text.clear();
            }
            if byte != b'\n' {
                text.push(byte);
            }
        }
    }
    if !text.is_empty() {
        line(&text);
    }
    exec.handle.exit_code().await
}
