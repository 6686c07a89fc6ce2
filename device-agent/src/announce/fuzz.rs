//! A door for the fuzz target of mDNS questions: bytes in, bytes out, no socket.

use std::{net::IpAddr, path::PathBuf};

use super::{
    Config, Scope,
    message::{self, Delivery},
    zone::{Zone, host_label},
};

/// What a device would do with packets.
#[derive(Debug)]
pub struct Responder {
    zone: Zone,
    addresses: Vec<IpAddr>,
}

/// What came of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The packet that is sent, and whether it goes to all.
    pub answer: Option<(Vec<u8>, bool)>,
    /// Somebody else holds our name.
    pub disputed: bool,
    /// Somebody else asks for our name and goes first.
    pub goes_first: bool,
}

impl Responder {
    /// A device with a host name and uuid as configuration files may say them.
    #[must_use]
    pub fn new(hostname: &str, uuid: &str, addresses: &[IpAddr]) -> Self {
        let config = Config {
            hostname: hostname.to_owned(),
            uuid: uuid.to_owned(),
            device_type: "generic-amd64".to_owned(),
            arch: "amd64".to_owned(),
            os_version: "os 1.0.0".to_owned(),
            agent_version: "0.1.0".to_owned(),
            variant: "development".to_owned(),
            api_port: agent_api::API_PORT,
            ssh_port: None,
            ssh_fingerprint: None,
            host_root: None,
            scope: Scope::All,
            avahi_services_dir: PathBuf::new(),
        };
        Self {
            zone: Zone::new(&config, &host_label(hostname, uuid), true),
            addresses: addresses.to_vec(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn host(&self) -> String {
        self.zone.host().to_string()
    }

    /// Its announcement.
    #[must_use]
    pub fn announcement(&self) -> Option<Vec<u8>> {
        message::response(self.zone.all(&self.addresses))
    }

    /// The question with which it claims its name.
    #[must_use]
    pub fn probe(&self) -> Option<Vec<u8>> {
        message::probe(&self.zone, &self.addresses)
    }

    /// Takes a packet from a port; `None` when it is no sound message.
    #[must_use]
    pub fn hear(&self, bytes: &[u8], from_port: u16) -> Option<Heard> {
        let packet = message::parse(bytes)?;
        let said = message::answer(&self.zone, &packet, from_port, &self.addresses);
        let answer = said.and_then(|(records, delivery)| match delivery {
            Delivery::Multicast => Some((message::response(records)?, true)),
            Delivery::Unicast => Some((message::response(records)?, false)),
            Delivery::Legacy => Some((message::legacy_response(&packet, records)?, false)),
        });
        Some(Heard {
            answer,
            disputed: message::disputes(&self.zone, &packet, &self.addresses),
            goes_first: message::goes_first(&self.zone, &packet, &self.addresses, &self.addresses),
        })
    }
}
