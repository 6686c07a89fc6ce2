//! `os completions`: the scripts that make shells complete `os`, and the answers to what those scripts ask.
//!
//! The scripts are the same for everybody, so that they can be installed as files. At each completion they run `os` with a variable
//! set; the answer comes from the command line's own definition and from the devices that this machine knows, without a network.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::{
    engine::{
        ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter,
        ValueCompleter as _,
    },
    env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh},
};

use crate::{
    commands::{Cli, Context, enter, seen_services},
    discovery::{Device, Places, machines, remembered, simulated},
    env::{Environment, OSCLI_COMPLETE, OSCLI_DEVICE},
    failure::Failure,
};

/// Prints the completion script of a shell
///
/// `install.sh` puts the scripts where shells look for them. Otherwise, for this session:
/// bash, zsh: `source <(os completions bash)`; fish: `os completions fish | source`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// A shell that can be completed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "they are their names")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Elvish,
}

/// Prints the script.
pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let script = script(args.shell)?;
    Ok(context.console.data(script.trim_end())?)
}

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
            Self::PowerShell => &Powershell,
            Self::Elvish => &Elvish,
        }
    }

    /// File of the script in `completions/`, called as the shell wants it to be.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Bash => "os",
            Self::Zsh => "_os",
            Self::Fish => "os.fish",
            Self::PowerShell => "os.ps1",
            Self::Elvish => "os.elv",
        }
    }
}

/// The script of a shell. It runs the `os` that is on the path.
///
/// # Errors
/// None in practice: the script is written to memory.
pub fn script(shell: Shell) -> io::Result<String> {
    let mut bytes = Vec::new();
    shell
        .completer()
        .write_registration(OSCLI_COMPLETE, "os", "os", "os", &mut bytes)?;
    let script = String::from_utf8(bytes).map_err(io::Error::other)?;
    let script = match shell {
        Shell::Bash => of_whole_words(&script),
        Shell::Zsh => without_spaces(&autoloadable(&script)),
        Shell::Fish | Shell::PowerShell | Shell::Elvish => script,
    };
    Ok(format!("{}\n", script.trim()))
}

/// As a file on zsh's function path the script is the body of a function that has to complete when it is called, not only to
/// register another one.
fn autoloadable(script: &str) -> String {
    script.replace(
        "\ncompdef _clap_dynamic_completer_os os",
        "\n\
         if [[ \"${funcstack[1]}\" == _os ]]; then\n    \
             _clap_dynamic_completer_os \"$@\"\n\
         else\n    \
             compdef _clap_dynamic_completer_os os\n\
         fi",
    )
}

/// Bash takes words apart at colons and a few other characters, and wants to have what follows the last of them. Our question is about whole
/// words: those between which the line has no blank belong together.
fn of_whole_words(script: &str) -> String {
    const APART: &str = r#"    local words=("${COMP_WORDS[@]}")
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        words[COMP_CWORD]="$2"
    fi
"#;
    const WHOLE: &str = r#"    local words=() line="${COMP_LINE-}" before='' last=-1 place word
    for ((place = 0; place < ${#COMP_WORDS[@]}; place++)); do
        word="${COMP_WORDS[place]}"
        if ((place == 0)) || [[ -z "$line" || "$line" == [[:space:]]* ]]; then
            words+=("")
            ((last += 1))
        elif ((place > COMP_CWORD && last == _CLAP_COMPLETE_INDEX)); then
            continue
        fi
        line="${line#"${line%%[![:space:]]*}"}"
        [[ "$line" == "$word"* ]] && line="${line#"$word"}" || line=''
        if ((place == COMP_CWORD)); then
            _CLAP_COMPLETE_INDEX=$last
            if [[ "${BASH_VERSINFO[0]}" -ge 4 && ! ( -z "$2" && "$word" =~ ^[:=@]+$ ) ]]; then
                word="$2"
            fi
            before="${words[last]}$word"
            before="${before%"$2"}"
        fi
        words[last]+="$word"
    done
"#;
    const END: &str = "        compopt -o nospace\n    fi\n";
    let after = format!("{END}    COMPREPLY=(\"${{COMPREPLY[@]#\"$before\"}}\")\n");
    script.replace(APART, WHOLE).replace(END, &after)
}

/// After the colon of a device or service, there is more to come.
fn without_spaces(script: &str) -> String {
    const OTHER: &str = r#"            else
                other+=("$completion")
"#;
    const PLACE: &str = r#"            elif [[ "$completion" == *'\:' || "$completion" == *'\::'* ]]; then
                places+=("$completion")
"#;
    const DESCRIBED: &str = "        [[ -n $other ]] && _describe -V 'values' other\n";
    let described =
        format!("        [[ -n $places ]] && _describe -V 'values' places -S ''\n{DESCRIBED}");
    script
        .replace(OTHER, &format!("{PLACE}{OTHER}"))
        .replace(
            "        local -a other=()\n",
            "        local -a places=()\n        local -a other=()\n",
        )
        .replace(DESCRIBED, &described)
}

/// Answers a completion script when the environment says that one asks; `None` when this is an ordinary run.
pub fn answer(environment: &Environment) -> Option<io::Result<String>> {
    let shell = Shell::from_str(environment.variable(OSCLI_COMPLETE)?, false).ok()?;
    Some(candidates(environment, shell))
}

fn candidates(environment: &Environment, shell: Shell) -> io::Result<String> {
    // `os -- os push ab`: what follows the two dashes is the line that is being typed.
    let line: Vec<_> = environment
        .args
        .iter()
        .skip_while(|argument| *argument != "--")
        .skip(1)
        .cloned()
        .collect();
    if line.is_empty() {
        return Ok(String::new());
    }
    let index = environment
        .variable("_CLAP_COMPLETE_INDEX")
        .and_then(|index| index.parse().ok())
        .unwrap_or(line.len() - 1);
    let empty_word = line.get(index).is_none_or(|word| word.is_empty());
    let devices = known_devices(environment);
    let services = known_services(environment, &line);
    let mut command = with_names(Cli::command(), &devices, &services);
    if empty_word {
        // Before anything was typed, options would bury what is most likely meant.
        command = without_options(command);
    }
    let mut bytes = Vec::new();
    shell.completer().write_complete(
        &mut command,
        line,
        Some(&environment.current_dir),
        &mut bytes,
    )?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// A device's name with what a person may know it by.
type Known = (String, Option<String>);

/// The devices that this machine knows, and the folder where something is typed.
struct KnownDevices {
    folder: PathBuf,
    all: Vec<Known>,
    simulated: Vec<Known>,
}

fn known_devices(environment: &Environment) -> KnownDevices {
    let places = Places::below(&environment.paths.state);
    // A completion has nobody to tell about a broken record.
    let (records, _) = simulated::load(&places.simulated).unwrap_or_default();
    let simulated: Vec<_> = records
        .iter()
        .filter_map(|record| known(&record.device, "simulated"))
        .collect();
    let mut all = simulated.clone();
    let machines = machines::living(&places.machines);
    all.extend(
        machines
            .iter()
            .filter_map(|device| known(device, "machine")),
    );
    for device in remembered::Remembered::peek(&places.remembered).devices() {
        let kind = device.device_type.as_deref().unwrap_or("device");
        all.extend(
            known(device, kind).filter(|(name, _)| all.iter().all(|(other, _)| other != name)),
        );
    }
    KnownDevices {
        folder: environment.current_dir.clone(),
        all,
        simulated,
    }
}

/// The services of the device that is named on the line, else of all that this machine has asked.
fn known_services(environment: &Environment, line: &[OsString]) -> Vec<Known> {
    let all = seen_services::load(&environment.paths.seen_services());
    // `os cp` has the device before a colon.
    let words = line.iter().filter_map(|word| word.to_str());
    let words = words.flat_map(|word| {
        let device = word.split_once(':').map_or(word, |(device, _)| device);
        [word, divided(device).1]
    });
    let services = seen_services::of_line(&all, words.chain(environment.variable(OSCLI_DEVICE)));
    let services = services.into_iter().filter(|name| needs_no_quoting(name));
    services.map(|name| (name, None)).collect()
}

/// Names come from the network and end up on a command line: only what needs no quoting in any shell is offered.
fn known(device: &Device, kind: &str) -> Option<Known> {
    let name = device.name.as_str();
    needs_no_quoting(name).then(|| {
        let address = device.addresses.first().map(|address| address.ip);
        let help = [
            plain(kind).then(|| kind.to_owned()),
            address.map(|ip| ip.to_string()),
        ];
        (
            name.to_owned(),
            Some(help.into_iter().flatten().collect::<Vec<_>>().join(", ")),
        )
    })
}

fn plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

fn needs_no_quoting(name: &str) -> bool {
    plain(name) && !name.is_empty() && !name.starts_with('-')
}

/// An account with its `@`, and the device after it.
fn divided(typed: &str) -> (&str, &str) {
    let (_, device) = enter::divided(Some(typed));
    let device = device.unwrap_or_default();
    typed.split_at(typed.len() - device.len())
}

/// A device, also after an account that has been typed before it.
fn devices_after_account(typed: &OsStr, devices: &[Known]) -> Vec<CompletionCandidate> {
    let text = typed.to_string_lossy();
    let (account, _) = divided(&text);
    let named = devices.iter().map(|(name, help)| {
        CompletionCandidate::new(format!("{account}{name}")).help(help.clone().map(Into::into))
    });
    let named = named.filter(|device| device.get_value().to_string_lossy().starts_with(&*text));
    named.collect()
}

/// What one side of a copy may be: a path of this machine, a device, a service of the device that stands there.
fn places(
    typed: &OsStr,
    folder: &Path,
    devices: &[Known],
    services: &[Known],
) -> Vec<CompletionCandidate> {
    let text = typed.to_string_lossy();
    let (before, known) = match text.split_once(':') {
        Some((device, _)) if !device.contains('/') => (format!("{device}:"), services),
        _ if text.contains('/') => (String::new(), devices),
        _ => (divided(&text).0.to_owned(), devices),
    };
    let named = known.iter().map(|(name, help)| {
        CompletionCandidate::new(format!("{before}{name}:")).help(help.clone().map(Into::into))
    });
    let named = named.filter(|place| place.get_value().to_string_lossy().starts_with(&*text));
    let mut all: Vec<_> = named.collect();
    if !before.ends_with(':') {
        all.extend(PathCompleter::any().current_dir(folder).complete(typed));
    }
    all
}

/// Offers device names wherever an argument is called `device`, those of simulated ones where it is called `simulated`, those of
/// services where it is called `service` or `services`, and all of them with paths where it is called `copied`.
fn with_names(command: Command, devices: &KnownDevices, services: &[Known]) -> Command {
    let offer = |known: &[Known]| {
        let known = known.to_vec();
        ArgValueCandidates::new(move || {
            known
                .iter()
                .map(|(name, help)| {
                    CompletionCandidate::new(name).help(help.clone().map(Into::into))
                })
                .collect()
        })
    };
    command
        .mut_args(|argument| match argument.get_id().as_str() {
            "device" => {
                let devices = devices.all.clone();
                argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
                    devices_after_account(typed, &devices)
                }))
            }
            "simulated" => argument.add(offer(&devices.simulated)),
            "service" | "services" => argument.add(offer(services)),
            "copied" => {
                let (folder, devices) = (devices.folder.clone(), devices.all.clone());
                let services = services.to_vec();
                argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
                    places(typed, &folder, &devices, &services)
                }))
            }
            _ => argument,
        })
        .mut_subcommands(|verb| with_names(verb, devices, services))
}

fn without_options(command: Command) -> Command {
    command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .mut_args(|argument| {
            if argument.is_positional() {
                argument
            } else {
                argument.hide(true)
            }
        })
        .mut_subcommands(without_options)
}

#[cfg(test)]
mod tests;
