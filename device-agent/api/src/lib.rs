//! The wire types that the device agent promises to its clients.
//!
//! Serde only: no I/O, no tokio, nothing that a client could not compile in. Two families live side by side:
//!
//! * [`reference`]: bodies of the reference device's HTTP API (tcp 48484), kept to the letter because existing clients
//!   parse them. Fields are never renamed, reordered or removed.
//! * [`os`]: our own API under `/os/v1`. Compatible edits are: a new optional field, a new variant of an enum marked
//!   `#[non_exhaustive]` whose unknown values readers map to `Unknown`. Everything else is `/os/v2`.
//!
//! [`log`] is the line of both log streams, [`cursor`] the place of a line in ours; [`folders`] says what of a device may be mounted, [`compose`] what the keys
//! of a service may hold; [`datagrams`] is
//! how UDP passes through a stream; [`preload`] says how images are called that a device brings along.

pub mod compose;
pub mod cursor;
pub mod datagrams;
pub mod folders;
pub mod log;
pub mod os;
pub mod preload;
pub mod reference;

/// TCP port of the agent's HTTP API, unless `listenPort` in config.json says otherwise.
pub const API_PORT: u16 = 48484;

/// Unix socket of the agent's HTTP API on a device, on which root needs no key.
pub const AGENT_SOCKET: &str = "/run/os-agent/agent.sock";

/// TCP port on which a development-mode device's container engine answers without authentication.
pub const ENGINE_PORT: u16 = 2375;

/// TCP port of the device's SSH server.
pub const SSH_PORT: u16 = 22222;

/// mDNS service type under which the agent announces itself with TXT records.
pub const MDNS_SERVICE: &str = "_osdev._tcp.local";

/// mDNS subtype under which every device of the ecosystem announces its SSH server, without TXT records.
pub const MDNS_REFERENCE_SERVICE: &str = "_resin-device._sub._ssh._tcp.local";

/// Label of everything that belongs to a simulated device; its value is the device's namespace.
pub const SIMULATED_LABEL: &str = "os.simulated-device";

/// Commit of every release that is pushed in local mode.
pub const LOCAL_COMMIT: &str = "10ca12e1ea5e";

/// Name of the application that is pushed in local mode.
pub const LOCAL_APP_NAME: &str = "localapp";
