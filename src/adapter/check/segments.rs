//! Segment ids that a map writes and HL7 does not have: such a path never gives anything, and what fails for it is told of every example.

use super::super::fault::{Faults, suggest};
use super::super::pack::Pack;

/// HL7 v2.3 to v2.8, chapters 2 to 17.
const SEGMENTS: &str = "ABS ACC ADD ADJ AFF AIG AIL AIP AIS AL1 APR ARQ ARV AUT BHS BLC BLG BPO BPX BTS BTX CDM CDO CER CM0 CM1 CM2 CNS CON CSP CSR CSS \
    CTD CTI DB1 DEV DG1 DMI DRG DSC DSP DST ECD ECR EDU EQP EQU ERR EVN FAC FHS FT1 FTS GOL GP1 GP2 GT1 IAM IAR IIM ILT IN1 IN2 IN3 INV IPC IPR ISD ITM \
    IVC IVT LAN LCC LCH LDP LOC LRL MCP MFA MFE MFI MRG MSA MSH NCK NDS NK1 NPU NSC NST NTE OBR OBX ODS ODT OH1 OH2 OH3 OH4 OM1 OM2 OM3 OM4 OM5 OM6 OM7 \
    ORC ORG OVR PAC PCE PCR PD1 PDA PDC PEO PES PID PKG PM1 PMT POS PR1 PRA PRB PRC PRD PRT PSG PSH PSL PSS PTH PV1 PV2 PYE QAK QID QPD QRD QRF QRI RCP \
    RDF RDT REL RF1 RFI RGS RMI ROL RQ1 RQD RXA RXC RXD RXE RXG RXO RXR RXV SAC SCD SCP SDD SFT SGH SGT SHP SID SLT SPM STF STZ TCC TCD TQ1 TQ2 TXA UAC \
    UB1 UB2 URD URS VAR VND";

pub fn check(pack: &Pack, faults: &mut Faults) {
    for map in pack.maps.values() {
        for (id, line) in map.segments_named() {
            if id.starts_with('Z') || SEGMENTS.split_whitespace().any(|known| known == id) {
                continue;
            }
            let near = suggest(id, SEGMENTS.split_whitespace());
            let hint = match near.starts_with("did you mean") {
                true => near,
                false => "look it up in the message's description; segments of a trust's own begin with Z".to_owned(),
            };
            faults.add(
                &map.file,
                line,
                format!("\"{id}\" is no segment of HL7 v2, so that this path gives nothing"),
                hint,
            );
        }
    }
}
