//! Ways to a device's sockets, and HTTP/1.1 over them.
//!
//! In: where a device answers ([`Endpoint`]). Out: whole answers of bounded size, or streams that are read piece by piece.
//! A request carries what its caller gives it and nothing else: there is no store of credentials here, and no
//! `Authorization` header is added to any. Every wait is bounded, except for the next piece of a stream, where dead peers are
//! found by TCP keep-alive.

mod bridge;
pub mod cloud_tunnel;
mod connect;
mod error;
mod escape;
mod http;
mod lasting;
mod line_stream;
mod lines;
mod pace;
mod pieces;
mod proxy;
pub mod ssh;
mod tls;

pub use bridge::{BridgeError, bridge};
pub use connect::{Endpoint, dial};
pub use error::TransportError;
pub use escape::{encode_path, encode_query, encode_query_bytes};
pub use http::{Answer, Body, Http, Limits, Stream, Upgraded, empty, full};
pub use lasting::{Again, Lasting};
pub use line_stream::LineStream;
pub use lines::{Line, Lines};
pub use pace::Pace;
pub(crate) use pieces::Pieces;
pub use proxy::{Proxies, Proxy};
pub use tls::{Authorities, TlsServer, trusting};
