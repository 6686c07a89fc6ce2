//! The host's proxy: two files on the boot partition, which the operating system makes redsocks and rules of.
//!
//! In: the folder. Out: what the proxy is, or files that say what it is to be. Files that survive a loss of power.

pub(crate) mod fuzz;
mod patch;
mod redsocks;

use std::io::{self, Read};
use std::path::Path;

use fs_err as fs;
use serde_json::{Map, Value};

pub(crate) use patch::{Proxy, ProxyPatch};

use crate::store::disk::{Disk, OwnDisk};
use crate::store::replace_file;

/// The proxy's server.
const SERVER: &str = "redsocks.conf";
/// Whom it is not for.
const EXCEPTIONS: &str = "no_proxy";

/// Reads both files; a missing one says nothing.
pub(crate) fn read(folder: &Path) -> io::Result<Proxy> {
    Ok(Proxy {
        server: redsocks::parse(&text(&folder.join(SERVER))?),
        exceptions: patch::exceptions_in(&text(&folder.join(EXCEPTIONS))?),
    })
}

fn text(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    match fs::File::open(file) {
        Ok(file) => {
            let limit = u64::try_from(redsocks::MAX_BYTES).unwrap_or(u64::MAX);
            file.take(limit).read_to_end(&mut bytes)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes both files, or takes away what would be empty. A file that says so already is left alone.
pub(crate) fn write(folder: &Path, proxy: &Proxy) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let before = read(folder)?;
    // What says nothing to us may say something to others: where there is to be nothing, no file stays.
    if proxy.server.is_none() || before.server != proxy.server {
        let server = proxy.server.as_ref().map(redsocks::print);
        put(&folder.join(SERVER), server)?;
    }
    if proxy.exceptions.is_empty() || before.exceptions != proxy.exceptions {
        let lines = (!proxy.exceptions.is_empty()).then(|| proxy.exceptions.join("\n"));
        put(&folder.join(EXCEPTIONS), lines)?;
    }
    OwnDisk.flush_dir(folder)
}

fn put(file: &Path, text: Option<String>) -> io::Result<()> {
    match text {
        Some(text) => replace_file(file, text.as_bytes()),
        None => OwnDisk.remove(file),
    }
}

/// As the reference tells it; `None` when there is none.
pub(crate) fn on_the_wire(proxy: &Proxy) -> Option<Value> {
    let server = proxy.server.as_ref();
    let mut fields = server.map_or_else(Map::new, redsocks::Server::on_the_wire);
    if !proxy.exceptions.is_empty() {
        fields.insert("noProxy".to_owned(), proxy.exceptions.clone().into());
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_come_and_go_with_what_they_say() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("system-proxy");
        assert_eq!(read(&folder).unwrap(), Proxy::default());
        let patch = |patch: Value| {
            let patch = ProxyPatch::understand(&patch).unwrap().unwrap();
            write(&folder, &patch.apply(read(&folder).unwrap()).unwrap()).unwrap();
        };
        patch(json!({"type": "socks4", "ip": "a.org", "port": 1, "noProxy": ["b", "c"]}));
        let text = fs::read_to_string(folder.join(SERVER)).unwrap();
        assert!(text.contains("\tip = a.org;\n"), "{text}");
        let lines = fs::read_to_string(folder.join(EXCEPTIONS)).unwrap();
        assert_eq!(lines, "b\nc");
        // Who asks for something else only leaves what people wrote into the file.
        let theirs = text.replace("log_info = on", "log_info = off");
        fs::write(folder.join(SERVER), &theirs).unwrap();
        patch(json!({"noProxy": []}));
        assert_eq!(fs::read_to_string(folder.join(SERVER)).unwrap(), theirs);
        assert!(!folder.join(EXCEPTIONS).exists());
        patch(json!({}));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        // Not understood, but redsocks may.
        fs::write(folder.join(SERVER), "redsocks { type = socks5; }").unwrap();
        patch(json!({}));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}
