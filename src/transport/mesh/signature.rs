//! How a request to MESH shows who sends it: a keyed hash over mailbox, nonce, password and time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

/// The block length of SHA-256, in bytes.
const BLOCK: usize = 64;

/// The value of `Authorization` for one request. `nonce` is used once: a repeat of the same request needs another one.
pub fn authorization(
    mailbox: &str,
    password: &str,
    shared_key: &[u8],
    nonce: &str,
    nonce_count: u32,
    now: Timestamp,
) -> String {
    let time = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M").to_string();
    let hash = hmac_sha256(shared_key, format!("{mailbox}:{nonce}:{nonce_count}:{password}:{time}").as_bytes());
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    format!("NHSMESH {mailbox}:{nonce}:{nonce_count}:{time}:{hex}")
}

/// RFC 2104 over SHA-256.
fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8, rest: &[u8]| -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(block.map(|b| b ^ pad));
        hash.update(rest);
        hash.finalize().into()
    };
    keyed(0x5c, &keyed(0x36, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_request_has_the_known_signature() {
        let now: Timestamp = "2026-01-01T12:00:59Z".parse().expect("a time");
        let nonce = "11111111-2222-3333-4444-555555555555";
        let made = authorization("X26ABC1", "password", b"TestKey", nonce, 0, now);
        assert_eq!(
            made,
            format!(
                "NHSMESH X26ABC1:{nonce}:0:202601011200:9c7b8f60a1d4428b5bba551459d7be26eb5358fca12328cafe2616560c9f7f5c"
            )
        );
    }

    /// RFC 4231, test cases 1, 2 and 6: a short key, a shorter one, and one longer than a block.
    #[test]
    fn the_hash_is_the_one_of_the_standard() {
        for (key, text, hash) in [
            (vec![0x0b; 20], &b"Hi There"[..], "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            let made: String = hmac_sha256(&key, text).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(made, hash);
        }
    }

    #[test]
    fn another_nonce_password_key_or_minute_is_another_signature() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
        let later: Timestamp = "2026-01-01T12:01:00Z".parse().expect("a time");
        let all = [
            authorization("A", "p", b"k", "n", 0, now),
            authorization("B", "p", b"k", "n", 0, now),
            authorization("A", "q", b"k", "n", 0, now),
            authorization("A", "p", b"l", "n", 0, now),
            authorization("A", "p", b"k", "m", 0, now),
            authorization("A", "p", b"k", "n", 1, now),
            authorization("A", "p", b"k", "n", 0, later),
        ];
        let hashes: std::collections::BTreeSet<_> = all.iter().map(|a| a.rsplit(':').next()).collect();
        assert_eq!(hashes.len(), all.len());
        assert!(all.iter().all(|a| !a.contains(":p:")), "the password is not in it");
    }
}
