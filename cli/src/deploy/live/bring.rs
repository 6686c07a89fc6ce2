//! Brings what was decided into a container.

use std::{error::Error, sync::Arc};

use tokio::io::AsyncWriteExt as _;

use super::{
    LiveEvent,
    decide::{Bring, Puts, Then},
    links::link_on_the_way,
    owners::Lists,
};
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
    if let Some(link) = link_on_the_way(asked.engine, asked.container, bring).await? {
        return Ok(Brought::Impossible(format!(
            "{link} is a link in its container"
        )));
    }
    for (program, paths, must) in [
        (&["rm", "-f", "--"][..], &bring.remove, true),
        (&["rmdir", "--"][..], &bring.remove_folders, false),
    ] {
        if !remove(asked, program, paths).await? && must {
            let because = "its container cannot remove files by itself";
            return Ok(Brought::Impossible(because.to_owned()));
        }
    }
    let lists = Lists::read_for(asked.engine, asked.container, bring).await?;
    if let Err(because) = put(asked, &lists, &bring.put).await? {
        return Ok(Brought::Impossible(because));
    }
    for then in &bring.then {
        let ended = match then {
            Then::Put(again) => put(asked, &lists, again).await?,
            Then::Run(step) => repeat(asked, step).await?,
        };
        if let Err(because) = ended {
            return Ok(Brought::Impossible(because));
        }
    }
    if bring.restart {
        asked.engine.restart_container(asked.container).await?;
    }
    Ok(Brought::Done)
}

/// Runs a command of the Dockerfile once more; why a build has to do it, otherwise.
async fn repeat(asked: &Asked<'_>, step: &Run) -> Result<Result<(), String>, EngineError> {
    let Ok(command) = &step.command else {
        return Ok(Ok(()));
    };
    (asked.tell)(LiveEvent::Running {
        service: asked.service.to_owned(),
        command: step.text.clone(),
    });
    Ok(match command_ends(asked, step, command).await? {
        0 => Ok(()),
        code => {
            let text: String = step.text.chars().take(60).collect();
            Err(format!("`{text}` ended with code {code} in its container"))
        }
    })
}

/// Puts items to their places; why that cannot be, otherwise.
async fn put(
    asked: &Asked<'_>,
    lists: &Lists,
    items: &Puts<'_>,
) -> Result<Result<(), String>, EngineError> {
    if items.is_empty() {
        return Ok(Ok(()));
    }
    let placed = items.iter().map(|(path, spot)| {
        let owner = match &spot.copy.owner {
            Some(owner) => lists
                .numbers(owner)
                .ok_or_else(|| format!("its container does not know the owner {owner}"))?,
            None => (0, 0),
        };
        Ok::<_, String>(Placed {
            number: spot.item.number,
            path: path.clone(),
            mode: spot.mode(),
            owner,
        })
    });
    let placed: Vec<Placed> = match placed.collect() {
        Ok(placed) => placed,
        Err(because) => return Ok(Err(because)),
    };
    let context = Arc::clone(asked.context);
    let write = move |out: &mut dyn std::io::Write| Ok(context.write_placed(&placed, out)?);
    asked
        .engine
        .put_archive(asked.container, b"/", write)
        .await?;
    Ok(Ok(()))
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
    // As in a build, there is nothing to read.
    drop(exec.input.shutdown().await);
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
