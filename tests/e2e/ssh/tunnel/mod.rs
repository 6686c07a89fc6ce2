//! `os tunnel`: the tunnel and the server stand on one machine, so a port "of the device" is one of the same loopback.

mod away;
mod datagrams;
mod places;
mod streams;

use std::net::SocketAddr;

use serde_json::Value;
use testkit::{Namespace, until, workstation::Running};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{HERE, Pair};

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A tunnel that listens, and what it tells.
struct Tunnel {
    running: Running,
}

impl Tunnel {
    /// Starts it, and waits until all of its forwards are listened for.
    async fn start(pair: &Pair, forwards: &[&str]) -> Self {
        let tunnel = Self::begin(pair, forwards);
        let wanted = forwards
            .iter()
            .filter(|word| !word.starts_with("--"))
            .count();
        tunnel.events("listening", wanted).await;
        tunnel
    }

    fn begin(pair: &Pair, words: &[&str]) -> Self {
        let mut all = vec!["tunnel", HERE, "--json", "--accept-host-key", "-i", "key"];
        all.extend(words);
        Self {
            running: pair.workstation.start(&all),
        }
    }

    fn told(&self) -> Vec<Value> {
        // The last line may be one that is being written.
        let text = self.running.stdout();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("an object a line"))
            .collect()
    }

    /// Waits until it has told so many events of a kind.
    async fn events(&self, kind: &str, count: usize) -> Vec<Value> {
        // It ends with a panic where the tunnel does.
        self.running.shows(&format!("\"event\":\"{kind}\"")).await;
        until(&format!("{count} events `{kind}`"), async || {
            let mut told = self.told();
            told.retain(|event| event["event"] == kind);
            (told.len() >= count).then_some(told)
        })
        .await
    }

    /// Ends it as Ctrl-C does. What it has told then.
    async fn stop(self, pair: &Pair) -> Vec<Value> {
        pair.workstation.machine.run("pkill", &["-INT", "-x", "os"]);
        let output = self.running.output().await;
        output.success();
        let lines = output.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("an object a line"))
            .collect()
    }
}

/// Sends back what it gets, with `name` before it.
async fn serve(listener: TcpListener, name: &str) {
    let mut talks = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let name = name.to_owned();
        talks.spawn(async move {
            stream.write_all(name.as_bytes()).await.ok()?;
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.ok()?;
            write.shutdown().await.ok()
        });
    }
}

/// A server of this kind at a port of the machine; it ends with the set.
fn server(machine: &Namespace, servers: &mut JoinSet<()>, port: u16, name: &'static str) {
    let listener = machine.listen(at(port)).expect("a port");
    servers.spawn(serve(listener, name));
}

/// Sends all of it, ends its side, and reads to the end.
async fn exchange(mut stream: TcpStream, question: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let asked = async {
        write.write_all(question).await.expect("written");
        write.shutdown().await.expect("ended");
    };
    let answered = read.read_to_end(&mut answer);
    let ((), read) = tokio::join!(asked, answered);
    read.expect("answered");
    answer
}

fn bytes(count: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    numbers.take(count).collect()
}
