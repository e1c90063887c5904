//! Any message, by the maps of `hl7v2-uk`: its values keep our rules or are refused by name.
use super::read;
use ips_bridge::adapter::Pack;
use std::sync::LazyLock;

static PACK: LazyLock<Pack> = LazyLock::new(|| read::pack("hl7v2-uk"));

pub fn hold(bytes: &[u8]) {
    read::is_taken_or_refused(&PACK, bytes);
}
