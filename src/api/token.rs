//! Page and resume tokens: a position, bound to the call, the caller and the filter it was given for. Any other token is refused, whether it is
//! garbage, another caller's, or from a list with another filter.
//!
//! The binding is a hash without a secret: whoever forges a token reaches nothing that the same call without it would not show them, and every
//! replica reads every other's tokens.

use super::error::Error;
use super::principal::Principal;
use super::rpc::Rpc;
use crate::domain::rule::Violations;
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const HASH_BYTES: usize = 16;
/// The longest position: a day, a referral and a job.
const POSITION_BYTES_MAX: usize = 36;

/// What a token is bound to.
pub struct Binding([u8; 32]);

impl Binding {
    /// `filter`: the request without page size and token.
    pub fn new(rpc: &Rpc, principal: &Principal, filter: &impl Message) -> Self {
        let mut hash = Sha256::new();
        for part in [rpc.name.as_bytes(), principal.name.as_bytes(), &filter.encode_to_vec()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    fn seal(&self, position: &[u8]) -> [u8; HASH_BYTES] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(position);
        let whole: [u8; 32] = hash.finalize().into();
        whole[..HASH_BYTES].try_into().expect("32 bytes have 16 in front")
    }

    pub fn token(&self, position: &[u8]) -> String {
        let bytes = [position, &self.seal(position)].concat();
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The position. `Ok(None)`: no token was given.
    pub fn position<const N: usize>(&self, token: &str) -> Result<Option<[u8; N]>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        let bytes = unhex(token).ok_or(Error::BadToken)?;
        let (position, seal) = bytes.split_at_checked(N).ok_or(Error::BadToken)?;
        if seal != self.seal(position) {
            return Err(Error::BadToken);
        }
        Ok(Some(position.try_into().map_err(|_| Error::BadToken)?))
    }

    /// After the last item of a page that is ordered by id.
    pub fn after(&self, token: &str) -> Result<Option<Uuid>, Error> {
        Ok(self.position(token)?.map(Uuid::from_bytes))
    }

    /// After a change in the feed.
    pub fn since(&self, token: &str) -> Result<Option<i64>, Error> {
        Ok(self.position(token)?.map(i64::from_be_bytes))
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > 2 * (POSITION_BYTES_MAX + HASH_BYTES) || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// The coerced size of a page: 0 is 50, more than 200 is 200. Below 0 is no size.
pub fn page_size(asked: i32, broken: &mut Violations) -> Option<u32> {
    at_most(asked, 50, 200, "page_size", broken)
}

/// A number of things asked for: 0 is `usual`, more than `most` is `most`. `None`: broken, as a client's arithmetic is that comes to less than 0.
pub fn at_most(asked: i32, usual: u32, most: u32, field: &str, broken: &mut Violations) -> Option<u32> {
    match u32::try_from(asked) {
        Ok(0) => Some(usual),
        Ok(n) => Some(n.min(most)),
        Err(_) => {
            broken.add(field, format!("must not be less than 0: leave it out for {usual}"));
            None
        }
    }
}

/// Cuts off the one item that was read beyond the page; gives the token of the next page, empty on the last.
pub fn cut<T>(items: &mut Vec<T>, size: u32, token: impl FnOnce(&T) -> String) -> String {
    let size = size as usize;
    if items.len() <= size {
        return String::new();
    }
    items.truncate(size);
    items.last().map(token).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::rpc;
    use super::*;
    use crate::wire::v1;
    use std::collections::BTreeSet;

    fn principal(name: &str) -> Principal {
        Principal { name: name.into(), roles: BTreeSet::new(), trusts: BTreeSet::new(), endpoints: BTreeSet::new() }
    }

    fn filter(team: &str) -> v1::ListReferralsRequest {
        v1::ListReferralsRequest { team: team.into(), ..Default::default() }
    }

    #[test]
    fn a_token_is_taken_back_for_the_same_call_caller_and_filter_only() {
        let id = Uuid::from_u128(7);
        let here = Binding::new(rpc::LIST_REFERRALS, &principal("a"), &filter("x"));
        let token = here.token(id.as_bytes());
        assert_eq!(here.after(&token), Ok(Some(id)));
        assert_eq!(here.after(""), Ok(None));
        for other in [
            Binding::new(rpc::LIST_DELIVERIES, &principal("a"), &filter("x")),
            Binding::new(rpc::LIST_REFERRALS, &principal("b"), &filter("x")),
            Binding::new(rpc::LIST_REFERRALS, &principal("a"), &filter("y")),
        ] {
            assert_eq!(other.after(&token), Err(Error::BadToken));
        }
        // A position in the feed is none in a list.
        assert_eq!(here.since(&token), Err(Error::BadToken));
    }

    #[test]
    fn garbage_is_no_token() {
        let here = Binding::new(rpc::LIST_REFERRALS, &principal("a"), &filter(""));
        let good = here.token(&[1; 16]);
        let changed = format!("{}{}", if good.starts_with('0') { '1' } else { '0' }, &good[1..]);
        for bad in ["x", "00", "é", &"0".repeat(64), &"0".repeat(4000), &good[2..], &changed, &good.to_uppercase()] {
            if bad != good {
                assert_eq!(here.after(bad), Err(Error::BadToken), "{bad}");
            }
        }
    }

    #[test]
    fn page_sizes_are_coerced_and_less_than_nothing_is_none() {
        let mut broken = Violations::default();
        let sizes = [0, 1, 200, 201, i32::MAX].map(|n| page_size(n, &mut broken));
        assert_eq!(sizes, [50, 1, 200, 200, 200].map(Some));
        assert!(broken.is_empty());
        assert_eq!([-1, i32::MIN].map(|n| page_size(n, &mut broken)), [None, None]);
        assert!(broken.0.iter().all(|b| b.field == "page_size"));
    }
}
