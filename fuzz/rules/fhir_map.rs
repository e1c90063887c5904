//! Any JSON, by the maps of `fhir-uk-core`: its values keep our rules or are refused by name.
use super::read;
use ips_bridge::adapter::Pack;
use std::sync::LazyLock;

static PACK: LazyLock<Pack> = LazyLock::new(|| read::pack("fhir-uk-core"));

pub fn hold(bytes: &[u8]) {
    read::is_taken_or_refused(&PACK, bytes);
}
