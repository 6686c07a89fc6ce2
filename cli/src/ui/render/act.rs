//! What `os restart`, `start`, `stop` and `purge` say.

use std::io;

use agent_api::os::{Action, Report};
use serde_json::json;

use crate::{
    agent::Verb,
    ui::{
        Console,
        style::{self, neutralise, paint},
    },
};

/// Before it is done.
pub fn begins(console: &Console, verb: Verb, action: &Action, device: &str) {
    let doing = match verb {
        Verb::Restart => "restarting",
        Verb::Start => "starting",
        Verb::Stop => "stopping",
        Verb::Purge => "purging",
    };
    let what = match (&action.service, verb) {
        (Some(service), _) => service.as_str(),
        (None, Verb::Purge) => "the application",
        (None, _) => "all services",
    };
    let what = neutralise(what);
    console.say(&format!("{doing} {what} on {}", neutralise(device)));
}

/// When it is done.
pub fn done(
    console: &Console,
    verb: Verb,
    action: &Action,
    report: Option<&Report>,
) -> io::Result<()> {
    let meant = |name: &str| {
        action
            .service
            .as_deref()
            .is_none_or(|service| service == name)
    };
    let services = report.into_iter().flat_map(|report| &report.services);
    let services: Vec<_> = services.filter(|service| meant(&service.name)).collect();
    if console.is_json() {
        return console.json(&json!({ "action": verb.word(), "services": services }));
    }
    for service in services {
        let name = paint(
            console.stderr_colour(),
            style::NAME,
            &neutralise(&service.name),
        );
        console.say(&format!("{name}  {}", neutralise(&service.status)));
    }
    console.say("done");
    Ok(())
}
