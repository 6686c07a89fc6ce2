//! Learns the variant of a device that does not tell it: a reference device's engine answers on its port in development mode only.

use std::time::Duration;

use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{Address, Device};

/// Longer than this a device of the local network does not take to accept a connection, however busy it is. One that has
/// the port closed says so at once.
const CONNECT: Duration = Duration::from_secs(2);
/// Addresses of a device that are tried.
const MOST_ADDRESSES: usize = 4;

/// `development` when the engine's port is open at one of the device's addresses, else `production`. Takes two seconds at most.
pub async fn variant(device: &Device) -> &'static str {
    let mut probes = JoinSet::new();
    let tried: Vec<Address> = device
        .addresses
        .iter()
        .copied()
        .take(MOST_ADDRESSES)
        .collect();
    for address in tried {
        let target = address.with_port(device.engine_port);
        probes.spawn(async move {
            let connected = timeout(CONNECT, TcpStream::connect(target)).await;
            matches!(connected, Ok(Ok(_)))
        });
    }
    while let Some(open) = probes.join_next().await {
        if open.unwrap_or(false) {
            return "development";
        }
    }
    "production"
}
