//! The system's message bus: calls of methods, each bounded.
//!
//! In: the bus' address. Out: replies. Decides nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tokio::net::UnixStream;
use zbus::connection::Builder;
use zbus::wire::DynamicDeserialize;
use zbus::{Connection, DBusError, DynamicType};

/// For a connection and for each call: a service may have to be started first.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// Where every system has its bus.
const WELL_KNOWN: &str = "run/dbus/system_bus_socket";

/// Why the bus, or who was called on it, did not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum BusError {
    /// Nobody listens.
    #[error("there is no system bus at {}", path.display())]
    Absent {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It does not let us in, broke off, or is not understood.
    #[error("the system bus cannot be used")]
    Unusable(#[source] zbus::Error),
    /// No answer in time.
    #[error("{0} did not answer")]
    Silent(String),
    /// Who was called refused, or does not exist.
    #[error("{words}")]
    Refused {
        /// Name of the error, `org.freedesktop.DBus.Error.ServiceUnknown` for example.
        name: String,
        /// For people; the name where there are none.
        words: String,
    },
}

/// A method of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Method<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
}

/// Where the system bus is: the first unix socket of a list of addresses as `DBUS_SYSTEM_BUS_ADDRESS` holds it, else the
/// well-known place below the host's root.
pub(crate) fn socket(addresses: Option<&str>, host_root: &Path) -> PathBuf {
    let named = addresses
        .into_iter()
        .flat_map(|addresses| addresses.split(';'))
        .filter_map(|address| address.strip_prefix("unix:"))
        .flat_map(|options| options.split(','))
        .find_map(|option| option.strip_prefix("path="));
    match named {
        Some(path) => PathBuf::from(path),
        None => host_root.join(WELL_KNOWN),
    }
}

/// A connection to the bus.
#[derive(Debug)]
pub(crate) struct Bus(Connection);

impl Bus {
    /// Opens a connection and says hello.
    pub(crate) async fn connect(path: &Path) -> Result<Self, BusError> {
        let opening = async {
            let absent = |source| BusError::Absent {
                path: path.to_owned(),
                source,
            };
            let stream = UnixStream::connect(path).await.map_err(absent)?;
            let stream = stream.into_std().map_err(absent)?;
            let built = Builder::unix_stream(stream).build().await;
            built.map(Self).map_err(BusError::Unusable)
        };
        let opened = tokio::time::timeout(MAX_WAIT, opening).await;
        opened.unwrap_or_else(|_| Err(BusError::Silent("the system bus".to_owned())))
    }

    /// Calls a method and returns what its reply holds.
    pub(crate) async fn call<A, R>(&self, method: &Method<'_>, arguments: &A) -> Result<R, BusError>
    where
        A: Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let call = self.0.call_method(
            Some(method.destination),
            method.path,
            Some(method.interface),
            method.member,
            arguments,
        );
        let answer = tokio::time::timeout(MAX_WAIT, call).await;
        let answer = answer.map_err(|_| BusError::Silent(method.destination.to_owned()))?;
        let body = answer.map_err(refusal)?.body();
        body.deserialize().map_err(BusError::Unusable)
    }
}

/// What is behind an error: the answer of who was called, or the bus itself.
fn refusal(error: zbus::Error) -> BusError {
    let (name, words) = match &error {
        zbus::Error::MethodError(name, words, _) => (name.to_string(), words.clone()),
        zbus::Error::FDO(error) => (
            error.name().to_string(),
            error.description().map(str::to_owned),
        ),
        _ => return BusError::Unusable(error),
    };
    let words = words.filter(|words| !words.is_empty());
    let words = words.unwrap_or_else(|| name.clone());
    BusError::Refused { name, words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bus_is_where_the_environment_says_or_where_it_always_is() {
        for (addresses, path) in [
            (None, "/mnt/root/run/dbus/system_bus_socket"),
            (Some("tcp:host=a"), "/mnt/root/run/dbus/system_bus_socket"),
            (
                Some("unix:path=/host/run/dbus/bus,guid=7"),
                "/host/run/dbus/bus",
            ),
            (Some("tcp:host=a;unix:path=/b"), "/b"),
        ] {
            let found = socket(addresses, Path::new("/mnt/root"));
            assert_eq!(found, PathBuf::from(path), "{addresses:?}");
        }
    }
}
