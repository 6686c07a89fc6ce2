//! Who has sent datagrams, and until when answers are theirs. Pure: the time is given.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Where datagrams came from: which of our sockets, and whose address.
pub(super) type Sender = (usize, SocketAddr);

/// Flows that are open, each with something of its own.
#[derive(Debug)]
pub(super) struct Flows<T> {
    idle: Duration,
    most: usize,
    next: u32,
    numbers: BTreeMap<Sender, u32>,
    open: BTreeMap<u32, Flow<T>>,
}

#[derive(Debug)]
struct Flow<T> {
    sender: Sender,
    last: Instant,
    own: T,
}

impl<T> Flows<T> {
    /// None yet. One ends when nothing has passed for `idle`; there are `most` at the most.
    pub(super) fn new(idle: Duration, most: usize) -> Self {
        Self {
            idle,
            most,
            next: 0,
            numbers: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    /// The number of the flow that a datagram of this sender belongs to, if there is one.
    pub(super) fn outgoing(&mut self, sender: Sender, now: Instant) -> Option<(u32, &mut T)> {
        let number = *self.numbers.get(&sender)?;
        let flow = self.open.get_mut(&number)?;
        flow.last = now;
        Some((number, &mut flow.own))
    }

    /// Begins a flow. One that had to make room comes back: the one of which nothing has been heard for longest.
    pub(super) fn begin(
        &mut self,
        sender: Sender,
        own: T,
        now: Instant,
    ) -> (u32, Option<(u32, T)>) {
        let oldest = self.open.iter().min_by_key(|(_, flow)| flow.last);
        let oldest = oldest.map(|(number, _)| *number);
        let room = match oldest.filter(|_| self.open.len() >= self.most) {
            Some(number) => self.end(number).map(|own| (number, own)),
            None => None,
        };
        while self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let number = self.next;
        // A late answer to a flow that has ended must not be another one's.
        self.next = self.next.wrapping_add(1);
        self.numbers.insert(sender, number);
        let last = now;
        self.open.insert(number, Flow { sender, last, own });
        (number, room)
    }

    /// Whom an answer is for.
    pub(super) fn incoming(&mut self, number: u32, now: Instant) -> Option<(Sender, &mut T)> {
        let flow = self.open.get_mut(&number)?;
        flow.last = now;
        Some((flow.sender, &mut flow.own))
    }

    /// When the next one will have been idle for long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        let oldest = self.open.values().map(|flow| flow.last).min()?;
        Some(oldest + self.idle)
    }

    /// Ends those that have been.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(u32, T)> {
        let is_over = |flow: &Flow<T>| now.saturating_duration_since(flow.last) >= self.idle;
        let over = self.open.iter().filter(|(_, flow)| is_over(flow));
        let over: Vec<u32> = over.map(|(number, _)| *number).collect();
        over.into_iter()
            .filter_map(|number| self.end(number).map(|own| (number, own)))
            .collect()
    }

    fn end(&mut self, number: u32) -> Option<T> {
        let flow = self.open.remove(&number)?;
        self.numbers.remove(&flow.sender);
        Some(flow.own)
    }

    /// All that are open, which end.
    pub(super) fn into_all(self) -> impl Iterator<Item = T> {
        self.open.into_values().map(|flow| flow.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(port: u16) -> Sender {
        (0, ([127, 0, 0, 1], port).into())
    }

    #[test]
    fn answers_find_their_sender_until_the_flow_was_idle_for_long_enough() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut flows = Flows::new(Duration::from_secs(10), 3);
        assert_eq!(flows.due(), None);
        assert!(flows.outgoing(sender(1), start).is_none());
        assert_eq!(flows.begin(sender(1), "one", at(0)), (0, None));
        assert_eq!(flows.begin((1, sender(1).1), "two", at(1)), (1, None));
        assert_eq!(flows.outgoing(sender(1), at(5)), Some((0, &mut "one")));
        assert_eq!(flows.incoming(0, at(6)), Some((sender(1), &mut "one")));
        assert_eq!(flows.incoming(9, at(6)), None);
        assert_eq!(flows.due(), Some(at(11)));
        assert_eq!(flows.expire(at(10)), []);
        assert_eq!(flows.expire(at(11)), [(1, "two")]);
        assert_eq!(flows.incoming(1, at(11)), None);
        assert_eq!(flows.begin((1, sender(1).1), "new", at(12)), (2, None));
        assert_eq!(flows.into_all().collect::<Vec<_>>(), ["one", "new"]);
    }

    #[test]
    fn the_one_that_was_silent_for_longest_makes_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut flows = Flows::new(Duration::from_secs(100), 2);
        flows.begin(sender(1), 'a', at(0));
        flows.begin(sender(2), 'b', at(1));
        flows.incoming(0, at(2));
        assert_eq!(flows.begin(sender(3), 'c', at(3)), (2, Some((1, 'b'))));
        assert!(flows.outgoing(sender(2), at(3)).is_none());
        flows.next = 2;
        assert_eq!(flows.begin(sender(4), 'd', at(4)).0, 3, "2 is in use");
    }
}
