//! The programs of others that a context needs: `docker`, which keeps contexts, and `systemctl`, which starts what carries one.

use std::{collections::BTreeMap, io, path::Path, process::Stdio};

use tokio::process::Command;

use super::record::Files;
use crate::{
    child,
    failure::{Failure, Kind},
};

/// What a program said.
struct Said {
    is_success: bool,
    stdout: String,
    stderr: String,
}

async fn run(program: &str, arguments: &[&str]) -> io::Result<Said> {
    let output = Command::from(child::command(program))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(Said {
        is_success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn missing(error: &io::Error) -> Failure {
    let failure = Failure::from_error(Kind::Other, error);
    failure.hint("a context is kept by the program `docker`, which is not here: install docker-cli, or Docker's own package")
}

async fn docker(arguments: &[&str]) -> Result<Said, Failure> {
    run("docker", arguments)
        .await
        .map_err(|error| missing(&error))
}

/// Where a context leads; `None` when there is none of that name.
async fn host_of(name: &str) -> Result<Option<String>, Failure> {
    let format = "{{.Endpoints.docker.Host}}";
    let said = docker(&["context", "inspect", "--format", format, name]).await?;
    Ok(said.is_success.then_some(said.stdout))
}

/// What is to be done for a context: `create`, `update`, or nothing.
///
/// # Errors
/// When there is no `docker`, or somebody else has a context of that name, which is left alone.
pub(super) async fn wanted(files: &Files) -> Result<Option<&'static str>, Failure> {
    match host_of(&files.name).await? {
        None => Ok(Some("create")),
        Some(found) if found == files.host() => Ok(None),
        Some(found) if is_ours(&found, &files.name) => Ok(Some("update")),
        Some(found) => {
            let taken = format!("docker has a context {} already, to {found}", files.name);
            Err(Failure::new(Kind::Usage, taken).hint("--name NAME gives this one another name"))
        }
    }
}

/// Makes the context, or lets it lead where it should.
pub(super) async fn make_context(files: &Files, device: &str) -> Result<(), Failure> {
    let host = files.host();
    let Some(verb) = wanted(files).await? else {
        return Ok(());
    };
    let endpoint = format!("host={host}");
    let about = format!("The engine of {device}, by os");
    let arguments = [
        "context",
        verb,
        &files.name,
        "--description",
        &about,
        "--docker",
        &endpoint,
    ];
    let said = docker(&arguments).await?;
    if said.is_success {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Other,
        format!(
            "docker cannot {verb} the context {}: {}",
            files.name, said.stderr
        ),
    ))
}

/// Removes the context, if it is ours; whether there was one.
pub(super) async fn remove_context(files: &Files) -> Result<bool, Failure> {
    match host_of(&files.name).await? {
        Some(found) if is_ours(&found, &files.name) => {}
        _ => return Ok(false),
    }
    let said = docker(&["context", "rm", "--force", &files.name]).await?;
    if said.is_success {
        return Ok(true);
    }
    Err(Failure::new(
        Kind::Other,
        format!(
            "docker cannot remove the context {}: {}",
            files.name, said.stderr
        ),
    ))
}

/// A socket of ours, also one of another session of the same person.
fn is_ours(host: &str, name: &str) -> bool {
    host.starts_with("unix:///") && host.ends_with(&format!("/os/docker/{name}.sock"))
        || host.starts_with("unix:///") && host.ends_with(&format!("/os/run/docker/{name}.sock"))
}

/// Whether the person's own systemd is there to start things.
pub(super) async fn has_systemd() -> bool {
    let asked = run("systemctl", &["--user", "show-environment"]).await;
    asked.is_ok_and(|said| said.is_success)
}

/// Asks the person's systemd for something.
pub(super) async fn systemctl(arguments: &[&str]) -> Result<(), Failure> {
    let said = run("systemctl", &[&["--user"], arguments].concat()).await?;
    if said.is_success {
        return Ok(());
    }
    let asked = arguments.join(" ");
    Err(Failure::new(
        Kind::Other,
        format!("systemctl --user {asked} failed: {}", said.stderr),
    ))
}

/// Their names, the socket's first.
pub(super) fn unit_names(files: &Files) -> [String; 2] {
    ["socket", "service"].map(|kind| format!("os-docker-{}.{kind}", files.name))
}

/// The units of a context: a socket, and the program that is started with it when somebody connects for the first time.
pub(super) fn units(
    files: &Files,
    program: &Path,
    variables: &BTreeMap<&str, String>,
) -> [(String, String); 2] {
    // A path here is one to the end of its line.
    let socket = files.socket.display().to_string().replace('%', "%%");
    // A dollar in the place of the program is itself.
    let program = escaped(&program.display().to_string());
    let [socket_unit, service_unit] = unit_names(files);
    let name = &files.name;
    let variables: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("Environment=\"{name}={}\"\n", escaped(value)))
        .collect();
    let variables = variables.concat();
    [
        (
            socket_unit,
            format!(
                "[Unit]\nDescription=The container engine of {name}\n\n[Socket]\nListenStream={socket}\nSocketMode=0600\nDirectoryMode=0700\n\
                 RemoveOnStop=yes\n\n[Install]\nWantedBy=sockets.target\n"
            ),
        ),
        (
            service_unit,
            format!(
                "[Unit]\nDescription=The container engine of {name}, by SSH\n\n[Service]\nExecStart=\"{program}\" docker-carrier {name}\n{variables}\
                 StandardInput=socket\nStandardOutput=journal\nStandardError=journal\n"
            ),
        ),
    ]
}

/// A per cent sign would begin a specifier, a quote end a word.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Paths;

    #[test]
    fn units_start_the_program_with_the_socket() {
        let variables = [("HOME", "/home/ann"), ("XDG_RUNTIME_DIR", "/run/\"1000\"%")];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables = variables.map(|(name, value)| (name, value.to_owned()));
        let files = Files::new(&Paths::from_variables(&owned.into()), "kitchen");
        let [(socket, socket_text), (service, service_text)] =
            units(&files, Path::new("/home/ann/100%$/os"), &variables.into());
        assert_eq!(unit_names(&files), [&*socket, &*service]);
        assert_eq!(socket, "os-docker-kitchen.os.socket");
        assert_eq!(service, "os-docker-kitchen.os.service");
        assert!(socket_text.contains("ListenStream=/run/\"1000\"%%/os/docker/kitchen.os.sock\n"));
        assert!(service_text.contains(
            "\nEnvironment=\"HOME=/home/ann\"\nEnvironment=\"XDG_RUNTIME_DIR=/run/\\\"1000\\\"%%\"\n"
        ));
        assert!(
            service_text.contains("ExecStart=\"/home/ann/100%%$/os\" docker-carrier kitchen.os\n")
        );
        assert!(service_text.contains("StandardInput=socket\n"));
    }

    #[test]
    fn a_context_of_somebody_else_is_known() {
        assert!(is_ours("unix:///run/user/1000/os/docker/k.os.sock", "k.os"));
        assert!(is_ours(
            "unix:///h/.local/state/os/run/docker/k.os.sock",
            "k.os"
        ));
        for other in [
            "unix:///var/run/docker.sock",
            "ssh://root@k.os",
            "unix:///run/os/docker/j.os.sock",
            "",
        ] {
            assert!(!is_ours(other, "k.os"), "{other}");
        }
    }
}
