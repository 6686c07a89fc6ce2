//! A program that follows a log, and that is never waited for by what it prints.
//!
//! In: a command. Out: when a line came, and how many lines of a burst came before it; those of a burst end with `xxx`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use testkit::Namespace;

/// A program whose standard output is read as fast as it comes.
#[derive(Debug)]
pub(crate) struct Reader {
    child: Child,
    /// The first line of a burst, and all lines that are of none: when they came, the lines of a burst so far, the text.
    found: mpsc::Receiver<(Instant, usize, String)>,
}

impl Reader {
    /// Starts it in the network of a machine.
    pub(crate) fn start(machine: &Namespace, command: &mut Command) -> Self {
        let mut child = machine.inside(|| {
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}"))
        });
        let stdout = child.stdout.take().expect("standard output");
        let (told, found) = mpsc::channel();
        std::thread::spawn(move || {
            // Line ends are sought by the standard library, which is optimised; this program is not, and fifty clients print much.
            let mut output = BufReader::with_capacity(256 * 1024, stdout);
            let mut line = Vec::new();
            let mut lines = 0;
            let mut first = true;
            while let Ok(1..) = output.read_until(b'\n', &mut line) {
                let of_a_burst = line.ends_with(b"xxx\n");
                lines += usize::from(of_a_burst);
                if first || !of_a_burst {
                    first &= !of_a_burst;
                    let text = String::from_utf8_lossy(&line).into_owned();
                    let counted = lines;
                    if text.contains("end of burst") {
                        lines = 0;
                    }
                    if told.send((Instant::now(), counted, text)).is_err() {
                        return;
                    }
                }
                line.clear();
            }
        });
        Self { child, found }
    }

    /// When a line with this text came, and how many lines of a burst came before it.
    pub(crate) fn finds(&self, text: &str, limit: Duration) -> Option<(Instant, usize)> {
        loop {
            let (at, lines, found) = self.found.recv_timeout(limit).ok()?;
            if found.contains(text) {
                return Some((at, lines));
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
