//! The epoch trees (specification, section 2): covers, frontiers, seeking forward and erasing behind.

use crate::derive::derive;
use crate::key::EpochSecret;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::{Secret, SecretBytes, SecretStack};
use wardein_domain::Purpose;

/// The depth of the leaves.
const DEPTH: u8 = 32;

/// The most nodes that a cover has: two at each depth below the root.
pub const MAX_COVER_NODES: usize = 62;

/// Bytes of a node in the encoding of section 2.
pub const NODE_LEN: usize = 1 + 4 + 32;

/// The result of one key agreement, `root[g]`. Its only use is to make the trees; it is wiped when dropped.
pub struct GenerationRoot(pub(crate) Secret<32>);

impl GenerationRoot {
    /// A root that the caller has from elsewhere, such as a vector.
    pub fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The whole tree of `purpose`: the frontier of epoch 0.
    pub fn tree(&self, purpose: Purpose) -> Cover {
        let mut secrets = SecretStack::with_capacity(1);
        secrets.push(derive(&self.0, "purpose", purpose.as_str().as_bytes()).expose());
        Cover { first: 0, last: u32::MAX, secrets }
    }
}

/// The least set of nodes that yields the secrets of a range of epochs, and of no other.
///
/// A *frontier* is the cover up to the last epoch. A cover holds at least one epoch.
pub struct Cover {
    first: u32,
    last: u32,
    /// Those of the nodes, whose places follow from the range; the first epoch's node comes last, where nodes are taken away.
    secrets: SecretStack<32>,
}

impl Cover {
    /// The first epoch that can be derived.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The last epoch that can be derived.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// How many nodes there are: 1 to [`MAX_COVER_NODES`], in a frontier at most 32.
    pub fn len(&self) -> usize {
        self.secrets.len()
    }

    /// Never: a cover holds at least one epoch.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Its nodes in the order of the epochs.
    fn nodes(&self) -> impl Iterator<Item = (Place, &[u8; 32])> {
        places(self.first, self.last).zip(self.secrets.expose().iter().rev())
    }

    /// The secret at `place`; none if no node is at it or above it.
    fn secret(&self, place: Place) -> Option<Secret<32>> {
        let (node, secret) = self.nodes().find(|(node, _)| node.contains(place.first()))?;
        Some(node.descend(Secret::copied_from(secret), place))
    }

    /// The secret of `epoch`, at the cost of at most 32 expansions; nothing is erased.
    pub fn epoch_secret(&self, epoch: u32) -> Result<EpochSecret, OutOfRange> {
        self.secret(Place { depth: DEPTH, index: epoch }).map(EpochSecret).ok_or(self.out_of_range(epoch))
    }

    /// Erases whatever can yield an epoch below `epoch`. Two expansions on average for the next epoch, at most 64.
    ///
    /// An epoch before the first changes nothing; one behind the last is an error and changes nothing.
    pub fn advance(&mut self, epoch: u32) -> Result<(), OutOfRange> {
        if epoch > self.last() {
            return Err(self.out_of_range(epoch));
        }
        while self.first < epoch
            && let (Some(mut place), Some(mut secret)) =
                (places(self.first, self.last).next(), self.secrets.pop())
        {
            if place.last() < epoch {
                self.first = place.last() + 1;
                continue;
            }
            while place.first() < epoch {
                let (left, right) = place.children();
                (place, secret) = if left.last() < epoch {
                    (right, derive(&secret, "right", b""))
                } else {
                    self.secrets.push(derive(&secret, "right", b"").expose());
                    (left, derive(&secret, "left", b""))
                };
            }
            self.secrets.push(secret.expose());
            self.first = epoch;
        }
        Ok(())
    }

    /// The cover of `first` to `last`, which must lie within this one; this one is unchanged.
    pub fn narrow(&self, first: u32, last: u32) -> Result<Self, OutOfRange> {
        if first > last || first < self.first || last > self.last {
            return Err(self.out_of_range(if first < self.first { first } else { last }));
        }
        let places: Vec<_> = places(first, last).collect();
        let mut secrets = SecretStack::with_capacity(places.len());
        for place in places.into_iter().rev() {
            secrets.push(self.secret(place).ok_or(self.out_of_range(first))?.expose());
        }
        Ok(Self { first, last, secrets })
    }

    /// The encoding of section 2: for each node `u8(depth) ‖ u32(index) ‖ secret`.
    pub fn encode(&self) -> SecretBytes {
        let mut out = SecretBytes::with_capacity(self.len() * NODE_LEN);
        for (place, secret) in self.nodes() {
            out.put(&[place.depth]);
            out.u32(place.index);
            out.put(secret);
        }
        out
    }

    /// The inverse of [`Cover::encode`]. Refuses nodes that are not the least cover of their range, in order.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let count = bytes.len() / NODE_LEN;
        if !(1..=MAX_COVER_NODES).contains(&count) {
            let (min, max) = (NODE_LEN, MAX_COVER_NODES * NODE_LEN);
            return Err(Problem::Length { length: bytes.len(), min, max }.of("cover"));
        }
        let mut reader = Reader::new(bytes);
        let mut nodes = Vec::with_capacity(count);
        for _ in 0..count {
            let depth = reader.small("node depth", DEPTH)?;
            let place = Place { depth, index: reader.u32("node index")? };
            let max = (1_u64 << depth) - 1;
            if u64::from(place.index) > max {
                return Err(Problem::Range { value: place.index.into(), min: 0, max }.of("node index"));
            }
            nodes.push((place, reader.chunk("node secret")?));
        }
        reader.finish("cover")?;
        let first = nodes.first().map_or(0, |(place, _)| place.first());
        let last = nodes.last().map_or(0, |(place, _)| place.last());
        if first > last || !nodes.iter().map(|(place, _)| *place).eq(places(first, last)) {
            return Err(Problem::NotCanonical("is not the least cover of its epochs, in order").of("cover"));
        }
        let mut secrets = SecretStack::with_capacity(count);
        nodes.into_iter().rev().for_each(|(_, secret)| secrets.push(secret));
        Ok(Self { first, last, secrets })
    }

    /// The form in records: the range and the secrets, since the places follow from the range.
    pub(crate) fn put(&self, out: &mut SecretBytes) {
        out.u32(self.first);
        out.u32(self.last);
        self.secrets.expose().iter().rev().for_each(|secret| out.put(secret));
    }

    /// The inverse of [`Cover::put`].
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (first, last) = (reader.u32("first epoch")?, reader.u32("last epoch")?);
        if first > last {
            let (value, min, max) = (first.into(), 0, last.into());
            return Err(Problem::Range { value, min, max }.of("first epoch"));
        }
        let count = places(first, last).count();
        let (nodes, _) = reader.take("node secret", count * 32)?.as_chunks();
        let mut secrets = SecretStack::with_capacity(count);
        nodes.iter().rev().for_each(|secret| secrets.push(secret));
        Ok(Self { first, last, secrets })
    }

    fn out_of_range(&self, epoch: u32) -> OutOfRange {
        OutOfRange { epoch, first: self.first, last: self.last }
    }
}

/// The epoch is not among those that the cover yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("epoch {epoch} cannot be derived; {first} to {last} can")]
pub struct OutOfRange {
    /// The requested epoch.
    pub epoch: u32,
    /// The first that can be derived.
    pub first: u32,
    /// The last that can be derived.
    pub last: u32,
}

/// The position of a node. `index < 2^depth`, `depth ≤ 32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    depth: u8,
    index: u32,
}

impl Place {
    /// log₂ of how many leaves hang below.
    fn height(self) -> u8 {
        DEPTH - self.depth
    }

    fn first(self) -> u32 {
        u32::try_from(u64::from(self.index) << self.height()).expect("index < 2^depth, so this is below 2^32")
    }

    fn last(self) -> u32 {
        let leaves = 1_u64 << self.height();
        u32::try_from(u64::from(self.first()) + leaves - 1).expect("the last leaf of a node is below 2^32")
    }

    fn contains(self, epoch: u32) -> bool {
        (self.first()..=self.last()).contains(&epoch)
    }

    /// The secret at `place`, which lies at or below this one, whose secret is `secret`. Nodes passed on the way are wiped.
    fn descend(self, secret: Secret<32>, place: Self) -> Secret<32> {
        let below = place.depth - self.depth;
        (0..below).rev().fold(secret, |secret, level| {
            let label = if place.index >> level & 1 == 0 { "left" } else { "right" };
            derive(&secret, label, b"")
        })
    }

    fn children(self) -> (Self, Self) {
        let (depth, left) = (self.depth + 1, self.index << 1);
        (Self { depth, index: left }, Self { depth, index: left | 1 })
    }
}

/// The places of the least cover of `first` to `last`: from the left, always the largest subtree that starts there and
/// does not reach beyond.
fn places(first: u32, last: u32) -> impl Iterator<Item = Place> {
    let (mut next, end) = (u64::from(first), u64::from(last) + 1);
    core::iter::from_fn(move || {
        let left = end.checked_sub(next).filter(|left| *left > 0)?;
        let height = next.trailing_zeros().min(left.ilog2()).min(DEPTH.into());
        let place = Place { depth: DEPTH - height as u8, index: (next >> height) as u32 };
        next += 1 << height;
        Some(place)
    })
}

/// How many nodes the least cover of `first` to `last` has.
#[cfg(test)]
fn cover_len(first: u32, last: u32) -> usize {
    places(first, last).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn whole() -> Cover {
        GenerationRoot::new(Secret::copied_from(&[5; 32])).tree(Purpose::Data)
    }

    #[test]
    fn the_largest_cover_and_frontier_have_62_and_32_nodes() {
        assert_eq!(cover_len(1, u32::MAX - 1), MAX_COVER_NODES);
        assert_eq!(cover_len(1, u32::MAX), 32);
        assert_eq!(cover_len(0, u32::MAX), 1);
        assert_eq!(cover_len(u32::MAX, u32::MAX), 1);
    }

    #[test]
    fn advancing_is_the_same_as_covering() {
        for epoch in [0, 1, 2, 1000, 1 << 31, u32::MAX - 1, u32::MAX] {
            let mut stepped = whole();
            stepped.advance(epoch / 2).unwrap();
            stepped.advance(epoch).unwrap();
            assert_eq!(stepped.encode().expose(), whole().narrow(epoch, u32::MAX).unwrap().encode().expose());
        }
    }

    #[test]
    fn an_advance_backward_or_beyond_changes_nothing() {
        let mut cover = whole().narrow(5, 9).unwrap();
        cover.advance(3).unwrap();
        assert_eq!((cover.first(), cover.last()), (5, 9));
        assert_eq!(cover.advance(10), Err(OutOfRange { epoch: 10, first: 5, last: 9 }));
        assert_eq!((cover.first(), cover.last()), (5, 9));
        assert!(cover.epoch_secret(4).is_err() && cover.epoch_secret(10).is_err());
    }

    #[test]
    fn only_the_least_cover_in_order_is_decoded() {
        let encoded = whole().narrow(1, 6).unwrap().encode();
        let nodes: Vec<&[u8]> = encoded.expose().chunks(NODE_LEN).collect();
        assert!(Cover::decode(&nodes.concat()).is_ok());
        let swapped = [nodes[1], nodes[0], nodes[2], nodes[3]].concat();
        assert_eq!(Cover::decode(&swapped).err().map(|e| e.field), Some("cover"));
        let twice = [nodes[0], nodes[0]].concat();
        assert_eq!(Cover::decode(&twice).err().map(|e| e.field), Some("cover"));
        let gap = [nodes[0], nodes[2]].concat();
        assert_eq!(Cover::decode(&gap).err().map(|e| e.field), Some("cover"));
        assert_eq!(Cover::decode(&[]).err().map(|e| e.field), Some("cover"));
        let mut deep = nodes[0].to_vec();
        deep[0] = 33;
        assert_eq!(Cover::decode(&deep).err().map(|e| e.field), Some("node depth"));
        let mut wide = nodes[1].to_vec();
        wide[0] = 1;
        wide[1] = 1;
        assert_eq!(Cover::decode(&wide).err().map(|e| e.field), Some("node index"));
        assert!(Cover::decode(&encoded.expose()[1..]).is_err());
    }
}
