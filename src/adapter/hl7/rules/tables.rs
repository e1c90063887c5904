//! What HL7 2.4 and 2.5.1 ask of the messages we exchange: structures, required fields, lengths, and the tables in them.
//! From the standard's chapters 2, 3, 7, 9 and 11; data, not behaviour.

/// The versions with rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V2_4,
    V2_5_1,
}

impl Version {
    pub fn parse(msh_12: &str) -> Option<Self> {
        match msh_12 {
            "2.4" => Some(Self::V2_4),
            "2.5.1" => Some(Self::V2_5_1),
            _ => None,
        }
    }
}

/// The structure (MSH-9.3) of a message by its code and event.
pub fn structure_of(code: &str, trigger: &str) -> Option<&'static str> {
    Some(match (code, trigger) {
        ("ACK", _) => "ACK",
        ("MDM", "T02" | "T04" | "T06" | "T08" | "T10") => "MDM_T02",
        ("MDM", "T01" | "T03" | "T05" | "T07" | "T09" | "T11") => "MDM_T01",
        ("ORU", "R01") => "ORU_R01",
        ("REF", "I12" | "I13" | "I14" | "I15") => "REF_I12",
        ("RRI", "I12" | "I13" | "I14" | "I15") => "RRI_I12",
        _ => return None,
    })
}

const TAIL: &str =
    "[ACC] [{DG1}] [{DRG}] [{AL1}] [{PR1 [AUT [CTD]]}] [{OBR [{NTE}] [{OBX [{NTE}]}]}] [PV1 [PV2]] [{NTE}]";

/// The standard's own notation: `[ ]` may be absent, `{ }` repeats. `TAIL` is what REF and RRI end in.
pub fn grammar(structure: &str, version: Version) -> Option<String> {
    use Version::{V2_4, V2_5_1};
    let orders = "[{ORC [{TQ1 [{TQ2}]}] OBR [{NTE}]}]";
    let provider = "[RF1] [AUT [CTD]] {PRD [{CTD}]} PID";
    let insured = "[{NK1}] [{GT1}] [{IN1 [IN2] [IN3]}]";
    Some(match (structure, version) {
        ("ACK", V2_4) => "MSH MSA [ERR]".into(),
        ("ACK", V2_5_1) => "MSH [{SFT}] MSA [{ERR}]".into(),
        ("MDM_T01", V2_4) => "MSH EVN PID PV1 TXA".into(),
        ("MDM_T01", V2_5_1) => format!("MSH [{{SFT}}] EVN PID PV1 {orders} TXA"),
        ("MDM_T02", V2_4) => "MSH EVN PID PV1 TXA {OBX}".into(),
        ("MDM_T02", V2_5_1) => format!("MSH [{{SFT}}] EVN PID PV1 {orders} TXA {{OBX [{{NTE}}]}}"),
        // Without orders (ORC): a document as a result has none.
        ("ORU_R01", V2_4) => "MSH {PID [PD1] [{NTE}] [PV1 [PV2]] {OBR [{NTE}] [{OBX [{NTE}]}]}} [DSC]".into(),
        ("ORU_R01", V2_5_1) => {
            "MSH [{SFT}] {PID [PD1] [{NTE}] [{NK1}] [PV1 [PV2]] {OBR [{NTE}] [{OBX [{NTE}]}]}} [DSC]".into()
        }
        ("REF_I12", V2_4) => format!("MSH {provider} {insured} {TAIL}"),
        ("REF_I12", V2_5_1) => format!("MSH [{{SFT}}] {provider} {insured} {TAIL}"),
        ("RRI_I12", V2_4) => format!("MSH [MSA] {provider} {TAIL}"),
        ("RRI_I12", V2_5_1) => format!("MSH [{{SFT}}] [MSA] {provider} {TAIL}"),
        _ => return None,
    })
}

/// Fields that must not be empty.
pub fn required(segment: &str, version: Version) -> &'static [usize] {
    match (segment, version) {
        ("MSH", _) => &[7, 9, 10, 11, 12],
        ("EVN", _) => &[2],
        ("PID", _) => &[3, 5],
        ("PV1", _) => &[2],
        ("TXA", _) => &[1, 2, 12, 17],
        ("OBR", _) => &[4],
        ("OBX", _) => &[3, 11],
        ("RF1", _) => &[6],
        ("PRD", _) => &[1],
        ("MSA", _) => &[1, 2],
        ("MRG", _) => &[1],
        ("ERR", Version::V2_4) => &[1],
        ("ERR", Version::V2_5_1) => &[3, 4],
        _ => &[],
    }
}

/// Events whose document names the one it replaces or appends to: TXA-13 must not be empty.
pub const PARENT_DOCUMENT: [&str; 4] = ["T05", "T06", "T09", "T10"];

/// The fields that [`longest`] and [`values`] say anything of.
pub fn judged(segment: &str) -> &'static [usize] {
    match segment {
        "MSH" => &[10, 11],
        "MSA" => &[1, 2],
        "TXA" => &[12, 13, 16, 17, 19, 21],
        "RF1" => &[6],
        "OBX" => &[5, 11],
        _ => &[],
    }
}

/// Longest repetition of a field, in characters, escapes and delimiters included.
pub fn longest(segment: &str, field: usize, version: Version) -> Option<usize> {
    Some(match (segment, field, version) {
        ("MSH", 10, _) | ("MSA", 2, _) => 20,
        ("TXA", 12 | 13 | 16 | 21, _) | ("RF1", 6, _) => 30,
        ("OBX", 5, Version::V2_4) => 65_536,
        ("OBX", 5, Version::V2_5_1) => 99_999,
        _ => return None,
    })
}

/// HL7-owned tables: the values a field may have. User-defined tables are the receiver's business.
pub fn values(segment: &str, field: usize) -> Option<&'static [&'static str]> {
    Some(match (segment, field) {
        ("MSH", 11) => &["D", "P", "T"],
        ("MSA", 1) => &["AA", "AE", "AR", "CA", "CE", "CR"],
        ("TXA", 17) => &["AU", "DI", "DO", "IN", "IP", "LA", "PA"],
        ("TXA", 19) => &["AV", "CA", "OB", "UN"],
        ("OBX", 11) => &["C", "D", "F", "I", "N", "O", "P", "R", "S", "U", "W", "X"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_with_a_length_or_a_table_is_judged() {
        for segment in
            ["MSH", "EVN", "PID", "PV1", "TXA", "OBR", "ORC", "OBX", "NTE", "RF1", "PRD", "MSA", "MRG", "ERR"]
        {
            let says = |field: &usize| {
                let long = [Version::V2_4, Version::V2_5_1].into_iter().any(|v| longest(segment, *field, v).is_some());
                long || values(segment, *field).is_some()
            };
            let said: Vec<usize> = (1..=60).filter(says).collect();
            assert_eq!(judged(segment), said, "{segment}");
        }
    }
}
