//! A door for the fuzz target of mDNS answers: packets in, devices and further questions out, no socket.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Device,
    picture::{Picture, Responder},
    wire,
};

/// A local network as one search sees it.
#[derive(Debug)]
pub struct Network(Picture);

impl Network {
    /// Looks for all devices, or for a host of that name too.
    #[must_use]
    pub fn new(wanted: Option<&str>) -> Self {
        Self(Picture::new(wanted.map(str::to_owned)))
    }

    /// Takes a packet; `None` when it is no sound answer, else whether it changed anything.
    pub fn hear(&mut self, from: IpAddr, link: u32, bytes: &[u8]) -> Option<bool> {
        let (_, facts) = wire::answer(bytes)?;
        Some(self.0.hear(Responder { ip: from, link }, facts))
    }

    /// The devices so far.
    pub fn devices(&mut self) -> BTreeMap<u32, Device> {
        self.0.devices()
    }

    /// The packet that asks for all devices and for what is missing.
    #[must_use]
    pub fn question(&self) -> Option<Vec<u8>> {
        let mut wants = vec![wire::Want::Devices];
        wants.extend(self.0.missing());
        wire::question(1, &wants)
    }
}
