//! gzip, undone with an end: what unpacks to more than the limit is not unpacked.

use flate2::read::MultiGzDecoder;
use std::io::Read;

/// Why bytes cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotUnpacked {
    Broken,
    TooLarge,
}

pub(super) fn gunzip(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, NotUnpacked> {
    let mut out = Vec::new();
    // One byte more than allowed shows that there is more.
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(bytes).take(limit).read_to_end(&mut out).map_err(|_| NotUnpacked::Broken)?;
    if out.len() > bytes_max { Err(NotUnpacked::TooLarge) } else { Ok(out) }
}

/// Whether bytes begin as gzip does. JSON and HL7 never do.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(bytes).expect("memory takes it");
        packer.finish().expect("memory takes it")
    }

    #[test]
    fn what_was_packed_comes_back_and_never_more_than_the_limit() {
        let text = b"{\"resourceType\":\"Bundle\"}".repeat(100);
        let packed = gzip(&text);
        assert!(is_gzip(&packed) && !is_gzip(&text));
        assert_eq!(gunzip(&packed, text.len()), Ok(text.clone()));
        assert_eq!(gunzip(&packed, text.len() - 1), Err(NotUnpacked::TooLarge));
        assert_eq!(gunzip(&gzip(&vec![0; 10_000_000]), 1_000), Err(NotUnpacked::TooLarge));
    }

    #[test]
    fn damaged_bytes_are_broken() {
        let mut packed = gzip(b"text");
        assert_eq!(gunzip(&packed[..packed.len() - 1], 100), Err(NotUnpacked::Broken));
        let at = packed.len() - 6;
        packed[at] ^= 1;
        assert_eq!(gunzip(&packed, 100), Err(NotUnpacked::Broken));
        assert_eq!(gunzip(b"{}", 100), Err(NotUnpacked::Broken));
    }
}
