//! `os ssh`.

use std::{ffi::OsString, io, os::unix::ffi::OsStringExt as _};

use super::{
    Context, container,
    enter::{self, Entry, Meant},
    remote::{self, Remote},
};
use crate::{
    discovery::Origin,
    failure::{Failure, Kind},
    transport::ssh::{Pty, Size},
    ui::terminal,
};

/// Opens a shell on a device, or in one of its services, or runs a command there
///
/// Through the device's SSH server, which production devices have, too. A command that is one argument is given to the shell there, as in
/// `os ssh kitchen -- 'ls /mnt | wc -l'`; several arguments arrive as they are. Standard input, output and error are those of the
/// command, byte by byte, and its exit code is that of `os ssh`; 128 + N after signal N; 255 when it could not be run. In a terminal, `~.` at the
/// beginning of a line hangs up.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, uuid, or address of the device, perhaps with ACCOUNT@ before it; without it, the only device there is
    device: Option<String>,
    /// The service whose container is entered, instead of the device itself
    service: Option<String>,
    /// The command
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// As whom: the account on the device, root if none is named; with a service, the user in its container
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,
    /// Give a command a terminal, too
    #[arg(long, short)]
    tty: bool,
    #[command(flatten)]
    entry: Entry,
}

/// Opens it, or runs it.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    enter_and_run(context, args).await.map_err(Failure::apart)
}

async fn enter_and_run(context: &Context, args: Args) -> Result<(), Failure> {
    let has_terminal =
        remote::has_terminal(context, args.tty)? && (args.tty || args.command.is_empty());
    let meant = enter::find(context, args.device.as_deref(), &args.entry).await?;
    let remote = if let Some(service) = &args.service {
        let command = Some("a command stands behind two dashes: os ssh DEVICE -- COMMAND");
        let found = container::find(context, meant, service, command).await?;
        let command = match args.command.as_slice() {
            [] => vec![found.shell().await?.to_owned()],
            [line] => vec![
                found.shell().await?.to_owned(),
                "-c".to_owned(),
                text(line)?,
            ],
            arguments => arguments.iter().map(text).collect::<Result<_, _>>()?,
        };
        let term = has_terminal.then(|| term(context));
        let exec = found.run(command, args.user.as_deref(), term).await?;
        Remote::Container(Box::new(exec))
    } else {
        on_device(context, meant, &args, has_terminal).await?
    };
    remote::run(context, remote, has_terminal).await
}

async fn on_device(
    context: &Context,
    mut meant: Meant,
    args: &Args,
    has_terminal: bool,
) -> Result<Remote, Failure> {
    let device = &meant.device;
    if let Origin::Simulated { .. } = device.origin {
        let failure = Failure::new(
            Kind::Usage,
            format!(
                "{} is simulated: it has services, and no system of its own",
                device.name
            ),
        );
        return Err(failure
            .hint(format!("os ssh {} SERVICE", device.name))
            .hint("`os simulate --system` starts a device with a system"));
    }
    if let Some(user) = &args.user {
        meant.entry.account = Some(user.clone());
    }
    let ssh = enter::enter(context, meant).await?;
    let (columns, rows) = terminal::size().unwrap_or((80, 24));
    let pty = has_terminal.then(|| Pty {
        term: term(context),
        size: Size { columns, rows },
    });
    let process = match args.command.as_slice() {
        [] => ssh.shell(pty.as_ref()).await?,
        [line] => ssh.exec(line.clone().into_vec(), pty.as_ref()).await?,
        arguments => ssh.exec(quoted(arguments), pty.as_ref()).await?,
    };
    Ok(Remote::Host(Box::new(process)))
}

/// Kind of our terminal.
pub(super) fn term(context: &Context) -> String {
    context
        .environment
        .variable("TERM")
        .unwrap_or("xterm")
        .to_owned()
}

/// An argument as an engine takes it.
pub(super) fn text(argument: &OsString) -> Result<String, Failure> {
    argument.to_str().map(str::to_owned).ok_or_else(|| {
        let source = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        Failure::from_error(Kind::Usage, &source).hint("an argument for a container must be UTF-8")
    })
}

/// A command line that a POSIX shell takes apart into exactly these arguments.
fn quoted(arguments: &[OsString]) -> Vec<u8> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(byte);
    let mut line = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            line.push(b' ');
        }
        let bytes = argument.clone().into_vec();
        if !bytes.is_empty() && bytes.iter().all(is_plain) {
            line.extend(bytes);
            continue;
        }
        line.push(b'\'');
        for byte in bytes {
            match byte {
                b'\'' => line.extend(br"'\''"),
                byte => line.push(byte),
            }
        }
        line.push(b'\'');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_reach_a_shell_as_they_were_typed() {
        let line = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            String::from_utf8(quoted(&arguments)).unwrap()
        };
        assert_eq!(line(&["ls", "-l", "/mnt/a"]), "ls -l /mnt/a");
        assert_eq!(
            line(&["echo", "a b", "", "it's", "$HOME;*"]),
            r"echo 'a b' '' 'it'\''s' '$HOME;*'"
        );
    }
}
