//! What qemu is told, and what it tells, while a machine runs: QMP (`docs/interop/qmp-spec.rst` of qemu).

use std::{future::pending, io, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Event, lines::divide};

/// Bytes of the longest line that is understood.
const LONGEST: usize = 64 << 10;
/// A machine whose disk had no room tries it again after this time…
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// …and that is told no more often than so.
const TELLING: Duration = Duration::from_mins(1);

/// How the talk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// As the machine did.
    Over,
    /// qemu has stopped the machine, and nothing makes it go on.
    Stopped,
}

#[derive(Deserialize)]
struct Said {
    event: String,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    nospace: bool,
    action: String,
}

/// Talks until the machine ends. Each of `presses` is one of the power button: the system may end by itself. `pause`: [`AGAIN`].
pub(super) async fn attend(
    stream: UnixStream,
    presses: mpsc::Receiver<()>,
    told: &mpsc::Sender<Event>,
    pause: Duration,
) -> Fate {
    let (from, into) = stream.into_split();
    let (lines, said) = mpsc::channel(16);
    let read = async {
        divide(from, lines, LONGEST).await;
        // What was said last is still to be heard.
        pending().await
    };
    tokio::select! {
        // A machine that is not told anything any more is ending.
        fate = talk(into, said, (presses, pause), told) => fate.unwrap_or(Fate::Over),
        fate = read => fate,
    }
}

async fn talk(
    mut into: impl AsyncWrite + Unpin,
    mut said: mpsc::Receiver<Vec<u8>>,
    (mut presses, pause): (mpsc::Receiver<()>, Duration),
    told: &mpsc::Sender<Event>,
) -> io::Result<Fate> {
    tell(&mut into, "qmp_capabilities").await?;
    let mut again: Option<Instant> = None;
    let mut last: Option<Instant> = None;
    loop {
        let retry = async {
            match again {
                Some(again) => sleep_until(again).await,
                None => pending().await,
            }
        };
        let line = tokio::select! {
            line = said.recv() => match line {
                Some(line) => line,
                None => return Ok(Fate::Over),
            },
            Some(()) = presses.recv() => {
                tell(&mut into, "system_powerdown").await?;
                continue;
            }
            () = retry => {
                again = None;
                tell(&mut into, "cont").await?;
                continue;
            }
        };
        // Else it is an answer, or more than was asked for.
        let Ok(Said { event, data }) = serde_json::from_slice(&line) else {
            continue;
        };
        match event.as_str() {
            "BLOCK_IO_ERROR" if data.nospace && data.action == "stop" => {
                let now = Instant::now();
                again = Some(now + pause);
                if last.is_none_or(|last| now - last >= TELLING) {
                    last = Some(now);
                    drop(told.send(Event::NoRoom).await);
                }
            }
            "STOP" if again.is_none() => return Ok(Fate::Stopped),
            _ => {}
        }
    }
}

async fn tell(into: &mut (impl AsyncWrite + Unpin), command: &str) -> io::Result<()> {
    let words = format!("{{\"execute\": \"{command}\"}}\n");
    into.write_all(words.as_bytes()).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, BufReader};

    use super::*;

    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#;

    #[tokio::test]
    async fn a_machine_without_room_tries_again_and_one_that_is_stopped_ends() {
        let (ours, qemu) = UnixStream::pair().unwrap();
        let (button, presses) = mpsc::channel(1);
        let (told, mut events) = mpsc::channel(8);
        let talked =
            tokio::spawn(
                async move { attend(ours, presses, &told, Duration::from_millis(500)).await },
            );
        let (from, mut into) = qemu.into_split();
        let mut heard = BufReader::new(from).lines();
        let mut say = async |line: &str| {
            into.write_all(format!("{line}\r\n").as_bytes())
                .await
                .unwrap();
        };
        say(GREETING).await;
        say("no JSON at all").await;
        say(r#"{"event": "RTC_CHANGE", "data": {"offset": 3}}"#).await;
        let full =
            r#"{"event": "BLOCK_IO_ERROR", "data": {"nospace": true, "action": "stop", "x": 1}}"#;
        for _ in 0..2 {
            say(full).await;
            say(r#"{"event": "STOP"}"#).await;
            say(r#"{"event": "RESUME"}"#).await;
        }
        let mut next = async || heard.next_line().await.unwrap().unwrap();
        assert_eq!(next().await, r#"{"execute": "qmp_capabilities"}"#);
        assert_eq!(next().await, r#"{"execute": "cont"}"#);
        button.send(()).await.unwrap();
        assert_eq!(next().await, r#"{"execute": "system_powerdown"}"#);
        assert_eq!(events.try_recv().unwrap(), Event::NoRoom);
        assert!(events.try_recv().is_err());
        say(r#"{"event": "STOP"}"#).await;
        assert_eq!(talked.await.unwrap(), Fate::Stopped);
    }

    #[tokio::test]
    async fn the_talk_is_over_when_the_machine_is() {
        for last in ["", GREETING] {
            let (ours, mut qemu) = UnixStream::pair().unwrap();
            let (_button, presses) = mpsc::channel(1);
            let (told, _events) = mpsc::channel(1);
            qemu.write_all(last.as_bytes()).await.unwrap();
            drop(qemu);
            assert_eq!(attend(ours, presses, &told, AGAIN).await, Fate::Over);
        }
    }
}
