//! What `os tunnel` says: lines for people, or one object a line.

use std::{collections::BTreeSet, io, thread, time::Duration};

use serde_json::{Value, json};
use tokio::sync::{mpsc::Receiver, oneshot};

use super::progress::{bytes, duration};
use crate::{
    tunnel::{Direction, Ending, Event, Forward, From, Local, Outcome, Remote},
    ui::{
        Console,
        style::{self, neutralise, paint},
    },
};

/// Different reasons for a device to be away that are told in warnings, for each time that it is.
const MOST_REASONS: usize = 8;

/// Tells events until there are no more. A thread writes, since nothing else may wait for a terminal that is stopped or a pipe of which
/// nobody reads.
///
/// # Errors
/// When standard output is gone.
pub async fn follow(
    console: &Console,
    device: &str,
    direction: Direction,
    mut events: Receiver<Event>,
) -> io::Result<()> {
    let mut words = Words {
        console: console.clone(),
        device: neutralise(device).into_owned(),
        direction,
        reasons: BTreeSet::new(),
    };
    let (over, ended) = oneshot::channel();
    thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || {
            let mut told = Ok(());
            while let (Ok(()), Some(event)) = (&told, events.blocking_recv()) {
                told = words.write(&event);
            }
            // Who does not wait for it does not want it.
            drop(over.send(told));
        })?;
    ended.await.unwrap_or(Ok(()))
}

struct Words {
    console: Console,
    device: String,
    direction: Direction,
    /// Why the device is away, as far as it has been told.
    reasons: BTreeSet<String>,
}

impl Words {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        if self.console.is_json() {
            return self.console.json(&object(event));
        }
        self.tell(event);
        Ok(())
    }

    /// The device has none of these words: a person typed them, or they are ours. What it says itself is made harmless.
    fn tell(&mut self, event: &Event) {
        let (console, device, direction) = (&self.console, &self.device, self.direction);
        match event {
            Event::Listening { forward, at } => {
                let at = at.join(" and ");
                let device = paint(console.stderr_colour(), style::NAME, device);
                console.say(&match direction {
                    Direction::ToDevice => {
                        format!("{at} is {} of {device}", remote(forward))
                    }
                    Direction::FromDevice => format!("{at} of {device} is {}", local(forward)),
                });
            }
            Event::Opened {
                connection,
                forward,
                from,
            } => console.say(&format!(
                "#{connection} {} to {}",
                opener(from),
                target(forward, direction)
            )),
            Event::Closed {
                connection, ending, ..
            } => closed(console, *connection, ending),
            Event::Trouble { forward, why } => {
                console.warn(&format!("{forward}: {}", neutralise(why)));
            }
            Event::Lost { why } => console.warn(&format!(
                "the connection to {device} is gone: {}; {}",
                neutralise(why),
                match direction {
                    Direction::ToDevice => "what listens here goes on listening",
                    Direction::FromDevice => "it will be asked to listen again",
                }
            )),
            Event::StillAway { why, pause } => {
                let pause = duration(*pause);
                let words = format!("{}; next attempt in {pause}", neutralise(why));
                if self.reasons.len() < MOST_REASONS && self.reasons.insert(why.clone()) {
                    console.warn(&words);
                } else {
                    console.detail(&words);
                }
            }
            Event::Missed { count } => {
                console.warn(&format!("{count} events were not told in time"));
            }
            Event::Back { peer } => {
                self.reasons.clear();
                console.say(&format!("{} is back", neutralise(peer)));
            }
        }
    }
}

fn closed(console: &Console, connection: u64, ending: &Ending) {
    let passed = format!(
        "{} to the device, {} from it, {}",
        bytes(ending.to_device),
        bytes(ending.from_device),
        duration(ending.lasted)
    );
    match &ending.outcome {
        Outcome::Done => console.say(&format!("#{connection} ended: {passed}")),
        Outcome::Stopped => console.say(&format!("#{connection} was stopped: {passed}")),
        Outcome::Failed(why) => {
            console.warn(&format!(
                "#{connection} failed: {} ({passed})",
                neutralise(why)
            ));
        }
    }
}

fn remote(forward: &Forward) -> String {
    match &forward.remote {
        Remote::Port(port) => format!("port {port}{}", protocol(forward)),
        Remote::Unix(path) => path.clone(),
    }
}

fn local(forward: &Forward) -> String {
    match &forward.local {
        Local::Port(..) => format!("{}{}", forward.local, protocol(forward)),
        Local::Unix(path) => path.display().to_string(),
    }
}

fn protocol(forward: &Forward) -> &'static str {
    match forward.protocol {
        crate::tunnel::Protocol::Stream => "",
        crate::tunnel::Protocol::Udp => "/udp",
    }
}

fn target(forward: &Forward, direction: Direction) -> String {
    match direction {
        Direction::ToDevice => remote(forward),
        Direction::FromDevice => local(forward),
    }
}

fn opener(from: &From) -> String {
    match from {
        From::Address(address) => format!("from {address}"),
        From::Here => "from here".to_owned(),
        From::Device => "from the device".to_owned(),
    }
}

fn object(event: &Event) -> Value {
    match event {
        Event::Listening { forward, at } => {
            json!({ "event": "listening", "forward": forward.to_string(), "at": at })
        }
        Event::Opened {
            connection,
            forward,
            from,
        } => {
            let from = match from {
                From::Address(address) => Some(address.to_string()),
                From::Here | From::Device => None,
            };
            json!({
                "event": "opened",
                "connection": connection,
                "forward": forward.to_string(),
                "from": from,
            })
        }
        Event::Closed {
            connection,
            forward,
            ending,
        } => {
            let (outcome, why) = match &ending.outcome {
                Outcome::Done => ("done", None),
                Outcome::Stopped => ("stopped", None),
                Outcome::Failed(why) => ("failed", Some(why)),
            };
            json!({
                "event": "closed",
                "connection": connection,
                "forward": forward.to_string(),
                "toDevice": ending.to_device,
                "fromDevice": ending.from_device,
                "seconds": seconds(ending.lasted),
                "outcome": outcome,
                "why": why,
            })
        }
        Event::Trouble { forward, why } => {
            json!({ "event": "trouble", "forward": forward.to_string(), "why": why })
        }
        Event::Lost { why } => json!({ "event": "lost", "why": why }),
        Event::StillAway { why, pause } => {
            json!({ "event": "stillAway", "why": why, "nextInSeconds": seconds(*pause) })
        }
        Event::Missed { count } => json!({ "event": "missed", "count": count }),
        Event::Back { peer } => json!({ "event": "back", "peer": peer }),
    }
}

/// To the thousandth.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
