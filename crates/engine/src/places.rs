//! Places under the limits of providers, given fairly.
//!
//! Whoever asks belongs to a lane: a tenant, or a key of one. A place that is free goes to the
//! highest priority, and among equals to the lanes in turn, so that one that asks for a thousand
//! waits behind one that asks for one only once. A lane may have a limit of its own, over all
//! providers.
//!
//! Invariants
//! - No more places are out than a provider has, nor than a lane may have.
//! - A place that is free and may be taken by somebody who waits is given at once.
//! - Waiting costs one small entry: no task, no channel.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use impasto_domain::{ProviderId, RunId};

use crate::driver::Slot;
use crate::request::Lane;
use crate::runner::{Claim, Inbox, Message};

/// Who asks for a place.
pub(crate) struct Asker {
    pub(crate) run: RunId,
    pub(crate) lane: Arc<Lane>,
    pub(crate) priority: i32,
    pub(crate) inbox: Inbox,
}

/// Someone who waits for a place.
struct Waiter {
    ticket: u64,
    run: RunId,
    lane: Arc<Lane>,
    inbox: Inbox,
    claim: Box<Claim>,
}

/// Those of one priority: lanes in turn, each with its own line.
#[derive(Default)]
struct Ring {
    turn: VecDeque<Arc<str>>,
    lines: HashMap<Arc<str>, VecDeque<Waiter>>,
}

/// Where somebody stands in line.
struct Standing {
    provider: ProviderId,
    priority: i32,
    ticket: u64,
    /// Whose it is.
    inbox: Inbox,
}

struct Place {
    limit: u32,
    used: u32,
    /// By priority, the highest last.
    rings: BTreeMap<i32, Ring>,
}

impl Default for Place {
    /// A provider that nobody spoke of does one call at a time.
    fn default() -> Self {
        Self { limit: 1, used: 0, rings: BTreeMap::new() }
    }
}

#[derive(Default)]
struct Table {
    places: BTreeMap<ProviderId, Place>,
    /// Places out, by lane.
    lanes: HashMap<Arc<str>, u32>,
    /// Where each run waits. Two may go by one id until it is known which of them is stored.
    waiting: HashMap<RunId, Vec<Standing>>,
    tickets: u64,
}

/// All places. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Places {
    table: Arc<Mutex<Table>>,
}

/// A place that is out; it is free again when this is dropped.
struct Permit {
    places: Places,
    provider: ProviderId,
    lane: Arc<Lane>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let given = self.places.lock().give_back(&self.provider, &self.lane);
        self.places.hand_out(given);
    }
}

/// A place that was given, and to whom.
struct Given {
    provider: ProviderId,
    waiter: Waiter,
}

impl Places {
    /// Places with these limits, by provider.
    pub(crate) fn new(limits: impl IntoIterator<Item = (ProviderId, u32)>) -> Self {
        let places = Self::default();
        places.set_limits(limits);
        places
    }

    /// Other limits. What is out stays out; places that have become free are given at once.
    pub(crate) fn set_limits(&self, limits: impl IntoIterator<Item = (ProviderId, u32)>) {
        let mut table = self.lock();
        let mut given = Vec::new();
        for (provider, limit) in limits {
            table.places.entry(provider.clone()).or_default().limit = limit.max(1);
            table.pump(&provider, &mut given);
        }
        drop(table);
        self.hand_out(given);
    }

    /// A place now, or a [`Message::Slot`] with the claim when there is one.
    pub(crate) fn claim(
        &self,
        provider: &ProviderId,
        asker: Asker,
        claim: Claim,
    ) -> Option<(Claim, Slot)> {
        let mut table = self.lock();
        let lane = Arc::clone(&asker.lane);
        if table.may_take(provider, &lane) && !table.is_waited_for(provider, asker.priority) {
            table.take(provider, &lane);
            drop(table);
            return Some((claim, self.slot(provider.clone(), lane)));
        }
        table.line_up(provider, asker, claim);
        let mut given = Vec::new();
        table.pump(provider, &mut given);
        drop(table);
        self.hand_out(given);
        None
    }

    /// A run that has ended, or never came to be, waits for nothing any more; another one of the same
    /// id, which has another inbox, still does.
    pub(crate) fn forget(&self, run: &RunId, inbox: &Inbox) {
        let dropped = self.lock().forget(run, inbox);
        drop(dropped);
    }

    /// How many will be given a place before the run, at the line where it is nearest to one; none if
    /// it waits nowhere.
    pub(crate) fn position(&self, run: &RunId) -> Option<u32> {
        self.lock().position(run)
    }

    /// Places out and those who wait, of each provider.
    pub(crate) fn load(&self) -> Vec<(ProviderId, u32, u32)> {
        let table = self.lock();
        let waiting = |place: &Place| {
            let lines = place.rings.values().flat_map(|ring| ring.lines.values());
            lines.map(|line| line.len() as u32).sum()
        };
        let loads = table.places.iter();
        loads.map(|(provider, place)| (provider.clone(), place.used, waiting(place))).collect()
    }

    fn slot(&self, provider: ProviderId, lane: Arc<Lane>) -> Slot {
        Slot::new(Permit { places: self.clone(), provider, lane })
    }

    /// Gives what was handed out; not under the lock, since an answer that nobody takes gives its
    /// place back.
    fn hand_out(&self, given: Vec<Given>) {
        for Given { provider, waiter } in given {
            let slot = self.slot(provider, waiter.lane);
            waiter.inbox.send(Message::Slot(waiter.claim, slot));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn may_take(&self, provider: &ProviderId, lane: &Lane) -> bool {
        let free = self.places.get(provider).is_none_or(|place| place.used < place.limit);
        free && has_room(&self.lanes, lane)
    }

    /// Whether somebody of this priority or a higher one is in line already.
    fn is_waited_for(&self, provider: &ProviderId, priority: i32) -> bool {
        let place = self.places.get(provider);
        place.is_some_and(|place| place.rings.range(priority..).next().is_some())
    }

    fn take(&mut self, provider: &ProviderId, lane: &Lane) {
        self.places.entry(provider.clone()).or_default().used += 1;
        *self.lanes.entry(Arc::clone(&lane.id)).or_default() += 1;
    }

    fn line_up(&mut self, provider: &ProviderId, asker: Asker, claim: Claim) {
        self.tickets += 1;
        let Asker { run, lane, priority, inbox } = asker;
        let ticket = self.tickets;
        let own = Standing { provider: provider.clone(), priority, ticket, inbox: inbox.clone() };
        // Most wait for one place at a time, and thousands of them may.
        self.waiting.entry(run.clone()).or_insert_with(|| Vec::with_capacity(1)).push(own);
        let place = self.places.entry(provider.clone()).or_default();
        let ring = place.rings.entry(priority).or_default();
        let line = ring.lines.entry(Arc::clone(&lane.id)).or_default();
        if line.is_empty() {
            ring.turn.push_back(Arc::clone(&lane.id));
        }
        line.push_back(Waiter { ticket, run, lane, inbox, claim: Box::new(claim) });
    }

    fn give_back(&mut self, provider: &ProviderId, lane: &Lane) -> Vec<Given> {
        if let Some(place) = self.places.get_mut(provider) {
            place.used = place.used.saturating_sub(1);
        }
        if let Some(used) = self.lanes.get_mut(&lane.id) {
            *used = used.saturating_sub(1);
            if *used == 0 {
                self.lanes.remove(&lane.id);
            }
        }
        let mut given = Vec::new();
        self.pump(provider, &mut given);
        if lane.limit.is_some() {
            // The lane may have been what others of it waited for, elsewhere.
            let others: Vec<ProviderId> =
                self.places.keys().filter(|id| *id != provider).cloned().collect();
            others.iter().for_each(|other| self.pump(other, &mut given));
        }
        given
    }

    /// Gives every place that is free to those who wait for it.
    fn pump(&mut self, provider: &ProviderId, given: &mut Vec<Given>) {
        while let Some(waiter) = self.next(provider) {
            self.take(provider, &waiter.lane);
            self.strike(&waiter);
            given.push(Given { provider: provider.clone(), waiter });
        }
    }

    /// Whose turn it is, taken out of the line.
    fn next(&mut self, provider: &ProviderId) -> Option<Waiter> {
        let has_room = |lane: &Lane| has_room(&self.lanes, lane);
        let place = self.places.get_mut(provider)?;
        if place.used >= place.limit {
            return None;
        }
        let mut empty = None;
        let mut found = None;
        for (priority, ring) in place.rings.iter_mut().rev() {
            found = ring.next(&has_room);
            if ring.turn.is_empty() {
                empty = Some(*priority);
            }
            if found.is_some() {
                break;
            }
        }
        if let Some(priority) = empty {
            place.rings.remove(&priority);
        }
        found
    }

    fn strike(&mut self, waiter: &Waiter) {
        if let Some(places) = self.waiting.get_mut(&waiter.run) {
            places.retain(|standing| standing.ticket != waiter.ticket);
            if places.is_empty() {
                self.waiting.remove(&waiter.run);
            }
        }
    }

    fn forget(&mut self, run: &RunId, inbox: &Inbox) -> Vec<Waiter> {
        let all = self.waiting.remove(run).unwrap_or_default();
        let (own, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|standing| standing.inbox.is(inbox));
        if !others.is_empty() {
            self.waiting.insert(run.clone(), others);
        }
        let mut dropped = Vec::new();
        for Standing { provider, priority, ticket, .. } in own {
            let Some(place) = self.places.get_mut(&provider) else { continue };
            let Some(ring) = place.rings.get_mut(&priority) else { continue };
            dropped.extend(ring.remove(ticket));
            if ring.turn.is_empty() {
                place.rings.remove(&priority);
            }
        }
        dropped
    }

    fn position(&self, run: &RunId) -> Option<u32> {
        let places = self.waiting.get(run)?;
        let before = |standing: &Standing| {
            let Standing { provider, priority, ticket, .. } = standing;
            let place = self.places.get(provider)?;
            let above = place.rings.range(priority.checked_add(1)?..);
            let above: usize = above.map(|(_, ring)| ring.len()).sum();
            Some(above + place.rings.get(priority)?.before(*ticket)?)
        };
        places.iter().filter_map(before).min().map(|count| count as u32)
    }
}

/// Whether a lane may have one more place.
fn has_room(lanes: &HashMap<Arc<str>, u32>, lane: &Lane) -> bool {
    let used = lanes.get(&lane.id).copied().unwrap_or_default();
    lane.limit.is_none_or(|limit| used < limit)
}

impl Ring {
    fn len(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }

    /// The first of the first lane in turn that has room; the lane then goes to the end.
    fn next(&mut self, has_room: &dyn Fn(&Lane) -> bool) -> Option<Waiter> {
        let lines = &self.lines;
        let ready = |lane: &Arc<str>| {
            let first = lines.get(lane).and_then(VecDeque::front);
            first.is_some_and(|waiter| has_room(&waiter.lane))
        };
        let index = self.turn.iter().position(ready)?;
        let lane = self.turn.remove(index)?;
        let line = self.lines.get_mut(&lane)?;
        let waiter = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&lane);
        } else {
            self.turn.push_back(lane);
        }
        waiter
    }

    fn remove(&mut self, ticket: u64) -> Option<Waiter> {
        let at = |line: &VecDeque<Waiter>| line.binary_search_by_key(&ticket, |w| w.ticket).ok();
        let (lane, index) =
            self.lines.iter().find_map(|(lane, line)| Some((Arc::clone(lane), at(line)?)))?;
        let line = self.lines.get_mut(&lane)?;
        let waiter = line.remove(index);
        if line.is_empty() {
            self.lines.remove(&lane);
            self.turn.retain(|other| *other != lane);
        }
        waiter
    }

    /// How many of this ring come before the one with that ticket, lanes taking turns.
    fn before(&self, ticket: u64) -> Option<usize> {
        let at = |line: &VecDeque<Waiter>| line.binary_search_by_key(&ticket, |w| w.ticket).ok();
        let find = |(turn, lane): (usize, &Arc<str>)| Some((turn, at(self.lines.get(lane)?)?));
        let (own, index) = self.turn.iter().enumerate().find_map(find)?;
        let count = |(turn, lane): (usize, &Arc<str>)| {
            let length = self.lines.get(lane).map_or(0, VecDeque::len);
            match turn.cmp(&own) {
                std::cmp::Ordering::Less => length.min(index + 1),
                std::cmp::Ordering::Equal => index,
                std::cmp::Ordering::Greater => length.min(index),
            }
        };
        Some(self.turn.iter().enumerate().map(count).sum())
    }
}

#[cfg(test)]
mod tests {
    use impasto_domain::{InstanceKey, OfferId};
    use tokio::sync::mpsc::{self, UnboundedReceiver};

    use super::*;

    /// Those who ask, and the order in which they were given a place.
    struct Queue {
        places: Places,
        inbox: Inbox,
        given: UnboundedReceiver<Box<Message>>,
        out: VecDeque<Slot>,
    }

    impl Queue {
        fn new(limit: u32) -> Self {
            let (sender, given) = mpsc::unbounded_channel();
            let places = Places::new([(provider(), limit)]);
            Self { places, inbox: Inbox(sender), given, out: VecDeque::new() }
        }

        /// Asks for a place at the first provider; answers whether there was one at once.
        fn ask(&mut self, lane: &str, limit: Option<u32>, priority: i32, name: u32) -> bool {
            self.ask_at(&provider(), (lane, limit), priority, name)
        }

        fn ask_at(
            &mut self,
            provider: &ProviderId,
            lane: (&str, Option<u32>),
            priority: i32,
            name: u32,
        ) -> bool {
            let lane = Arc::new(Lane { id: lane.0.into(), limit: lane.1 });
            let run = RunId::new(format!("{}{name}", lane.id));
            let asker = Asker { run, lane, priority, inbox: self.inbox.clone() };
            let key = InstanceKey { step: "s".into(), index: vec![] };
            let claim = Claim { key, attempt: name, offer: OfferId::new("o"), timeout_ms: 1 };
            let given = self.places.claim(provider, asker, claim);
            self.out.extend(given.map(|(_, slot)| slot));
            self.out.len() == 1
        }

        /// Gives the oldest place back; answers who got one for it.
        fn next(&mut self) -> Option<u32> {
            drop(self.out.pop_front());
            match *self.given.try_recv().ok()? {
                Message::Slot(claim, slot) => {
                    self.out.push_back(slot);
                    Some(claim.attempt)
                }
                _ => None,
            }
        }

        /// Those who were given a place without one being given back.
        fn taken(&mut self) -> Vec<u32> {
            let mut taken = Vec::new();
            while let Ok(message) = self.given.try_recv() {
                if let Message::Slot(claim, slot) = *message {
                    self.out.push_back(slot);
                    taken.push(claim.attempt);
                }
            }
            taken
        }

        fn rest(&mut self) -> Vec<u32> {
            std::iter::from_fn(|| self.next()).collect()
        }
    }

    fn provider() -> ProviderId {
        ProviderId::new("p")
    }

    #[test]
    fn lanes_take_turns_and_a_higher_priority_goes_first() {
        let mut queue = Queue::new(1);
        assert!(queue.ask("a", None, 0, 0), "a free place is given at once");
        for name in 1..=3 {
            queue.ask("a", None, 0, name);
        }
        queue.ask("b", None, 0, 10);
        queue.ask("c", None, 5, 20);
        let place = |name: &str| queue.places.position(&RunId::new(name));
        assert_eq!(place("c20"), Some(0));
        assert_eq!(place("a1"), Some(1));
        assert_eq!(place("b10"), Some(2));
        assert_eq!(place("a3"), Some(4));
        assert_eq!(place("a0"), None, "it has its place");
        assert_eq!(queue.rest(), [20, 1, 10, 2, 3]);
    }

    #[test]
    fn a_lane_that_is_full_lets_others_pass() {
        let mut queue = Queue::new(2);
        queue.ask("a", Some(1), 0, 0);
        queue.ask("a", Some(1), 0, 1);
        queue.ask("b", None, 0, 10);
        assert_eq!(queue.taken(), [10], "the second of a waits, that of b does not");
        assert_eq!(queue.next(), Some(1), "a gave its place back");
    }

    #[test]
    fn a_lane_gets_its_turn_at_another_provider_too() {
        let mut queue = Queue::new(1);
        let other = ProviderId::new("q");
        queue.places.set_limits([(other.clone(), 1)]);
        queue.ask("a", Some(1), 0, 0);
        queue.ask_at(&other, ("a", Some(1)), 0, 1);
        assert_eq!(queue.next(), Some(1));
    }

    #[test]
    fn who_has_ended_is_passed_over() {
        let mut queue = Queue::new(1);
        for name in 0..4 {
            queue.ask("a", None, 0, name);
        }
        queue.places.forget(&RunId::new("a2"), &queue.inbox);
        assert_eq!(queue.places.position(&RunId::new("a3")), Some(1));
        assert_eq!(queue.rest(), [1, 3]);
        assert_eq!(queue.places.load(), [(provider(), 0, 0)]);
    }

    #[test]
    fn who_never_came_to_be_takes_no_place_from_another_of_the_same_id() {
        let mut queue = Queue::new(1);
        queue.ask("a", None, 0, 0);
        queue.ask("a", None, 0, 1);
        let (sender, _nobody) = mpsc::unbounded_channel();
        let other = Inbox(sender);
        let own = std::mem::replace(&mut queue.inbox, other);
        queue.ask("a", None, 0, 1);
        queue.places.forget(&RunId::new("a1"), &queue.inbox);
        assert_eq!(queue.places.load(), [(provider(), 1, 1)]);
        assert_eq!(queue.next(), Some(1), "the first of that id still waits");
        queue.places.forget(&RunId::new("a1"), &own);
    }

    #[test]
    fn a_higher_limit_gives_places_at_once() {
        let mut queue = Queue::new(1);
        for name in 0..3 {
            queue.ask("a", None, 0, name);
        }
        queue.places.set_limits([(provider(), 3)]);
        assert_eq!(queue.taken(), [1, 2]);
    }
}
