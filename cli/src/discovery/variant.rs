//! Learns the variant of devices that do not tell it: a reference device's engine answers on its port in development mode only.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{Address, Device};

/// Longer than this a device of the local network does not take to accept a connection, however busy it is. One that has
/// the port closed says so at once.
pub const LONGEST_CONNECT: Duration = Duration::from_secs(2);
/// Addresses of a device that are tried, and connections that are tried at one time.
const MOST_ADDRESSES: usize = 16;
const MOST_PROBES: usize = 64;

/// What is known of the variants of devices, by the numbers of the scan.
#[derive(Debug, Default)]
pub struct Variants {
    asked: BTreeMap<u32, Asked>,
    waiting: VecDeque<(Key, SocketAddr)>,
    probes: JoinSet<(Key, bool)>,
    rounds: u64,
}

/// The number of a device, and the round in which it is asked: answers to what was asked before it was forgotten say nothing.
type Key = (u32, u64);

#[derive(Debug)]
struct Asked {
    round: u64,
    addresses: BTreeSet<Address>,
    unanswered: usize,
    open: bool,
}

/// What a device's engine port tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// It is open at one of the device's addresses.
    Development,
    /// It is closed at every address that is known so far; more of them may come.
    NoneOpen,
}

impl Variants {
    /// Tries the engine's port at the addresses of the device that were not tried before. Holds up nothing.
    pub fn ask(&mut self, id: u32, device: &Device) {
        self.rounds += 1;
        let asked = self.asked.entry(id).or_insert_with(|| Asked {
            round: self.rounds,
            addresses: BTreeSet::new(),
            unanswered: 0,
            open: false,
        });
        // Those that it has no more make room for those that it has now.
        let has = |address: &Address| device.addresses.contains(address);
        asked.addresses.retain(has);
        for address in &device.addresses {
            if asked.addresses.len() < MOST_ADDRESSES && asked.addresses.insert(*address) {
                asked.unanswered += 1;
                let target = address.with_port(device.engine_port);
                self.waiting.push_back(((id, asked.round), target));
            }
        }
        self.begin();
    }

    /// Whether answers are missing that would tell something.
    #[must_use]
    pub fn are_awaited(&self) -> bool {
        let mut asked = self.asked.values();
        asked.any(|asked| !asked.open && asked.unanswered > 0)
    }

    /// Waits for the next answer; the number of the device that it is about, `None` when nothing is being asked. Each takes two
    /// seconds at most. Can be cancelled without losing an answer.
    pub async fn answered(&mut self) -> Option<u32> {
        // A probe neither panics nor is it aborted.
        let ((id, round), open) = self.probes.join_next().await?.unwrap_or_default();
        if let Some(asked) = self.asked.get_mut(&id)
            && asked.round == round
        {
            asked.unanswered = asked.unanswered.saturating_sub(1);
            asked.open |= open;
            if asked.open {
                self.waiting.retain(|((waiting, _), _)| *waiting != id);
            }
        }
        self.begin();
        Some(id)
    }

    /// Forgets what is known: a device that is gone may come back as another variant, and one that tells its variant is believed.
    pub fn forget(&mut self, id: u32) {
        self.asked.remove(&id);
        self.waiting.retain(|((waiting, _), _)| *waiting != id);
    }

    /// What is known; `None` as long as answers are missing.
    #[must_use]
    pub fn learnt(&self, id: u32) -> Option<Learnt> {
        let asked = self.asked.get(&id)?;
        match (asked.open, asked.unanswered) {
            (true, _) => Some(Learnt::Development),
            (false, 0) => Some(Learnt::NoneOpen),
            (false, _) => None,
        }
    }

    fn begin(&mut self) {
        while self.probes.len() < MOST_PROBES
            && let Some((key, target)) = self.waiting.pop_front()
        {
            self.probes.spawn(async move {
                let connected = timeout(LONGEST_CONNECT, TcpStream::connect(target)).await;
                (key, matches!(connected, Ok(Ok(_))))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::discovery::Origin;

    fn device(port: u16, hosts: &[u8]) -> Device {
        let address = |host: &u8| Address {
            ip: IpAddr::V4(Ipv4Addr::new(127, 7, 7, *host)),
            scope: 0,
        };
        Device {
            name: "board".to_owned(),
            uuid: None,
            addresses: hosts.iter().map(address).collect(),
            api_port: 48484,
            engine_port: port,
            ssh_port: 22222,
            device_type: None,
            os_version: None,
            agent_version: None,
            variant: None,
            ssh_fingerprint: None,
            origin: Origin::Network,
        }
    }

    #[tokio::test]
    async fn an_address_that_comes_later_is_asked_too() {
        let engine = tokio::net::TcpListener::bind("127.7.7.2:0").await.unwrap();
        let port = engine.local_addr().unwrap().port();
        let mut variants = Variants::default();
        variants.ask(3, &device(port, &[1]));
        assert_eq!(variants.learnt(3), None);
        assert_eq!(variants.answered().await, Some(3));
        assert_eq!(variants.learnt(3), Some(Learnt::NoneOpen));
        variants.ask(3, &device(port, &[1, 2]));
        assert_eq!(variants.learnt(3), None);
        assert_eq!(variants.answered().await, Some(3));
        assert_eq!(variants.learnt(3), Some(Learnt::Development));
        assert_eq!(variants.answered().await, None);
    }

    #[tokio::test]
    async fn a_device_that_was_gone_is_asked_again() {
        let engine = tokio::net::TcpListener::bind("127.7.7.3:0").await.unwrap();
        let device = device(engine.local_addr().unwrap().port(), &[3]);
        let mut variants = Variants::default();
        variants.ask(3, &device);
        assert_eq!(variants.answered().await, Some(3));
        assert_eq!(variants.learnt(3), Some(Learnt::Development));
        variants.ask(3, &device);
        assert_eq!(variants.answered().await, None);

        variants.forget(3);
        drop(engine);
        variants.ask(3, &device);
        assert_eq!(variants.learnt(3), None);
        assert_eq!(variants.answered().await, Some(3));
        assert_eq!(variants.learnt(3), Some(Learnt::NoneOpen));
    }

    #[tokio::test]
    async fn however_many_devices_there_are_each_is_asked() {
        let mut variants = Variants::default();
        for id in 0..200 {
            variants.ask(id, &device(9, &[1, 2]));
        }
        while variants.answered().await.is_some() {}
        for id in 0..200 {
            assert_eq!(variants.learnt(id), Some(Learnt::NoneOpen));
        }
    }
}
