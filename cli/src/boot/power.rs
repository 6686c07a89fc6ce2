//! The machine's power button, by QMP (`docs/interop/qmp-spec.rst` of qemu).

use std::{io, path::Path};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

/// Bytes that qemu says at most until it has understood.
const LONGEST: u64 = 256 << 10;

/// Presses it: the system of the machine may end by itself.
pub(super) async fn press(control: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(control).await?;
    let (from, mut into) = stream.split();
    let mut lines = BufReader::new(from.take(LONGEST)).lines();
    lines.next_line().await?;
    for command in ["qmp_capabilities", "system_powerdown"] {
        let words = format!("{{\"execute\": \"{command}\"}}\n");
        into.write_all(words.as_bytes()).await?;
        // Events come between answers.
        loop {
            let Some(line) = lines.next_line().await? else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let answer: serde_json::Value = serde_json::from_str(&line)?;
            if answer.get("return").is_some() {
                break;
            }
            if let Some(error) = answer.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
        }
    }
    Ok(())
}
