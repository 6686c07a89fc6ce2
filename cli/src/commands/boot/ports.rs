//! Where the ports of a machine are.

use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, TcpListener},
};

use crate::{
    boot::{BootError, Forward},
    discovery::Device,
    failure::{Failure, Kind},
};

/// Ports that every device has: SSH, the agent, in development mode the engine.
const PORTS: [u16; 3] = [
    agent_api::SSH_PORT,
    agent_api::API_PORT,
    agent_api::ENGINE_PORT,
];
/// Addresses of machines: 127.72.0.1 to 127.72.255.254.
const NETWORK: [u8; 2] = [127, 72];
/// Addresses that are tried.
const TRIES: u32 = 64;

/// Reads `PORT` or `PORT:HERE`.
pub(super) fn forward(text: &str) -> Result<Forward, String> {
    let port = |text: &str| {
        let port: Option<u16> = text.parse().ok();
        port.filter(|port| *port > 0)
            .ok_or_else(|| format!("{text} is no port, a number from 1 to 65535"))
    };
    let (guest, host) = text.split_once(':').unwrap_or((text, text));
    Ok(Forward {
        guest: port(guest)?,
        host: port(host)?,
    })
}

/// All of them: those that are wished, and the usual ones where nothing else is wished for these.
pub(super) fn forwards(wished: &[Forward]) -> Result<Vec<Forward>, Failure> {
    let mut all = wished.to_vec();
    for port in PORTS {
        if all.iter().all(|forward| forward.guest != port) {
            all.push(Forward {
                guest: port,
                host: port,
            });
        }
    }
    let mut taken = BTreeSet::new();
    match all.iter().find(|forward| !taken.insert(forward.host)) {
        None => Ok(all),
        Some(Forward { guest, host }) => {
            let text = format!("port {host} would be two ports of the machine");
            Err(Failure::new(Kind::Usage, text)
                .hint(format!("--port {guest}:HERE with another one")))
        }
    }
}

/// Puts the usual ports where they are.
pub(super) fn place(device: &mut Device, forwards: &[Forward]) {
    for (port, usual) in [
        (&mut device.ssh_port, agent_api::SSH_PORT),
        (&mut device.api_port, agent_api::API_PORT),
        (&mut device.engine_port, agent_api::ENGINE_PORT),
    ] {
        let mut fitting = forwards.iter().filter(|forward| forward.guest == usual);
        if let Some(forward) = fitting.next() {
            *port = forward.host;
        }
    }
}

/// An address whose ports are free; machines of one name have the same one each time, if they can.
pub(super) fn address(name: &str, forwards: &[Forward]) -> Result<Ipv4Addr, BootError> {
    const HOSTS: u32 = 256 * 254;
    let hash = blake3::hash(name.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    let start = u32::from_be_bytes([a, b, c, d]) % HOSTS;
    let [first, second] = NETWORK;
    let mut refused = None;
    for step in 0..TRIES {
        let host = (start + step) % HOSTS;
        let [.., third] = (host / 254).to_be_bytes();
        let [.., fourth] = (host % 254 + 1).to_be_bytes();
        let address = Ipv4Addr::new(first, second, third, fourth);
        let mut ports = forwards.iter();
        refused = ports.find_map(|forward| {
            let error = TcpListener::bind((address, forward.host)).err()?;
            Some((forward.guest, error))
        });
        if refused.is_none() {
            return Ok(address);
        }
    }
    let (port, source) = refused.unwrap_or((0, io::ErrorKind::AddrInUse.into()));
    Err(BootError::NoAddress { port, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Origin;

    #[test]
    fn ports_of_ones_own_take_the_place_of_the_usual_ones() {
        let wished = [forward("80:8080").unwrap(), forward("22222:2222").unwrap()];
        let all = forwards(&wished).unwrap();
        let pairs: Vec<(u16, u16)> = all.iter().map(|one| (one.guest, one.host)).collect();
        assert_eq!(
            pairs,
            [(80, 8080), (22222, 2222), (48484, 48484), (2375, 2375)]
        );
        let mut device = Device::bare("kit".to_owned(), None, Origin::Machine);
        place(&mut device, &all);
        assert_eq!((device.ssh_port, device.api_port), (2222, 48484));
        for odd in ["0", "x", "80:", ":80", "65536", "80:8080:1"] {
            assert!(forward(odd).is_err(), "{odd}");
        }
        let twice = [forward("80:22222").unwrap()];
        let refused = forwards(&twice).unwrap_err();
        assert!(refused.message().contains("22222"), "{refused:?}");
    }

    #[test]
    fn a_port_that_is_taken_means_another_address() {
        let forwards = [Forward {
            guest: 1,
            host: 47_391,
        }];
        let first = address("kit", &forwards).unwrap();
        let _taken = TcpListener::bind((first, 47_391)).unwrap();
        let second = address("kit", &forwards).unwrap();
        assert_ne!(first, second);
        assert!(second.is_loopback());
    }

    #[test]
    fn a_port_that_is_taken_everywhere_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let host = taken.local_addr().unwrap().port();
        let refused = address("kit", &[Forward { guest: 7, host }]).unwrap_err();
        let BootError::NoAddress { port: 7, source } = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
    }
}
