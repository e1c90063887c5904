//! What counts as filed, and what to do when nobody knows: the keys that have no default, and the combinations that cannot be meant.

use super::endpoint::Endpoint;
use super::section::Section;
use super::transport::Transport;
use super::values::{choice, date, int, text};
use crate::domain::policy::{AckMode, AcknowledgedBy, AfterUnknown, FiledBy};
use jiff::civil::Date;

/// Who accepted less than proof, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub by: String,
    pub on: Date,
}

#[derive(Default)]
pub(super) struct Evidence {
    pub filed_by: Option<FiledBy>,
    pub acknowledged_by: Option<AcknowledgedBy>,
    pub approval: Option<Approval>,
    pub after_unknown: Option<AfterUnknown>,
    pub max_unknown_resends: Option<u32>,
}

const FILED_BY: &[(&str, FiledBy)] = &[
    ("application_ack", FiledBy::ApplicationAck),
    ("read_back", FiledBy::ReadBack),
    ("vendor_report", FiledBy::VendorReport),
    ("reconciled", FiledBy::Reconciled),
    ("transport_ack", FiledBy::TransportAck),
];

pub(super) fn read(s: &mut Section<'_>, ack_mode: AckMode, transport: Option<&Transport>) -> Evidence {
    let mut e = Evidence {
        filed_by: s.required(
            "filed_by",
            "say what proves that an entry is in the record: application_ack, read_back, vendor_report, reconciled or transport_ack; only the trust knows",
            choice(FILED_BY),
        ),
        acknowledged_by: s.required(
            "acknowledged_by",
            "say who answers: \"record\" if the EPR itself does, \"engine\" if an integration engine does; ask the trust",
            choice(&[("record", AcknowledgedBy::Record), ("engine", AcknowledgedBy::Engine)]),
        ),
        after_unknown: s.required(
            "after_unknown",
            "say what to do when nobody knows whether a message arrived: \"resend\" where the EPR recognises repeats, \"query\" where it can be asked, else \"park\"",
            choice(&[("resend", AfterUnknown::Resend), ("query", AfterUnknown::Query), ("park", AfterUnknown::Park)]),
        ),
        max_unknown_resends: s.required(
            "max_unknown_resends",
            "say how often a message may be sent again before a person looks; 0 with after_unknown = \"park\"",
            int(0..=1000),
        ),
        approval: None,
    };
    let by = s.optional("approved_by", text(100));
    let on = s.optional("approved_on", date);
    e.approval = by.zip(on).map(|(by, on)| Approval { by, on });
    if e.filed_by == Some(FiledBy::TransportAck) {
        for key in ["approved_by", "approved_on"].into_iter().filter(|key| !s.has(key)) {
            s.fault(
                key,
                "is missing, and filed_by = \"transport_ack\" is less than proof",
                "write who accepted that for the trust, and on which day",
            );
        }
    }
    if let Some(other) = e.filed_by.filter(|f| *f != FiledBy::TransportAck) {
        for key in ["approved_by", "approved_on"].into_iter().filter(|key| s.has(key)) {
            s.warn(
                key,
                format!("has no effect: filed_by is {other:?}, which needs nobody to accept less"),
                "remove it",
            );
        }
    }
    filed_by(s, &e, ack_mode);
    if let (Some(Transport::Folder(_)), Some(FiledBy::ApplicationAck)) = (transport, e.filed_by) {
        s.fault(
            "filed_by",
            "is \"application_ack\", but nobody acknowledges files in a folder",
            "choose \"vendor_report\" if result files come back, or \"reconciled\" if a list of what the record holds does",
        );
    }
    if let (Some(Transport::Feed(_)), Some(FiledBy::ApplicationAck)) = (transport, e.filed_by) {
        s.fault(
            "filed_by",
            "is \"application_ack\", but whoever pulls a message confirms only that they have it",
            "choose \"vendor_report\" if they report what they filed (ReportFiled), or \"reconciled\" if a list of what the record holds comes",
        );
    }
    if let Some(transport) = transport {
        what_cannot_be_asked(s, &e, transport);
    }
    resends(s, &e);
    e
}

/// Evidence that the one who answers can never give.
fn filed_by(s: &Section<'_>, e: &Evidence, ack_mode: AckMode) {
    match (e.filed_by, e.acknowledged_by) {
        (Some(FiledBy::ApplicationAck), Some(AcknowledgedBy::Engine)) => s.fault(
            "filed_by",
            "is \"application_ack\", but acknowledged_by is \"engine\": an engine's AA proves only that the engine has the message, so nothing would ever count as filed",
            "choose \"reconciled\" or \"vendor_report\" and entries wait for that proof, or \"transport_ack\" with approved_by and approved_on if the trust accepts less; \
             if the AA does come from the EPR, acknowledged_by is \"record\"",
        ),
        (Some(FiledBy::TransportAck), Some(AcknowledgedBy::Record)) if ack_mode == AckMode::Original => s.fault(
            "filed_by",
            "is \"transport_ack\", but the record itself answers in original mode, and its AA is an application acknowledgement: better evidence than this asks for",
            "choose filed_by = \"application_ack\"; if an engine answers, acknowledged_by is \"engine\"",
        ),
        _ => {}
    }
}

/// What the way does not give: over some nothing can be asked, and MESH answers for itself, not for the record.
fn what_cannot_be_asked(s: &Section<'_>, e: &Evidence, transport: &Transport) {
    let over = transport.word();
    if e.filed_by == Some(FiledBy::ReadBack) && !transport.can_read_back() {
        s.fault(
            "filed_by",
            format!("is \"read_back\", but nothing can be read back over {over}"),
            "choose \"application_ack\" if the EPR itself acknowledges, else \"reconciled\" or \"vendor_report\"",
        );
    }
    if e.after_unknown == Some(AfterUnknown::Query) && !transport.can_ask() {
        s.fault(
            "after_unknown",
            format!("is \"query\", but the record cannot be asked over {over}"),
            "choose \"resend\" if the EPR recognises repeats by MSH-10 or TXA-12, else \"park\"",
        );
    }
    if e.after_unknown == Some(AfterUnknown::Resend) && matches!(transport, Transport::Mesh(_)) {
        s.fault(
            "after_unknown",
            "is \"resend\", and MESH carries the same message twice when it is given it twice",
            "choose \"query\": MESH is asked whether it has the message before it goes again; or \"park\"",
        );
    }
}

fn resends(s: &Section<'_>, e: &Evidence) {
    match (e.after_unknown, e.max_unknown_resends) {
        (Some(AfterUnknown::Park), Some(n)) if n > 0 => s.fault(
            "max_unknown_resends",
            format!("is {n}, but after_unknown = \"park\" never sends again by itself"),
            "write 0, or choose after_unknown = \"resend\" if the EPR recognises repeats",
        ),
        (Some(AfterUnknown::Resend), Some(0)) => s.fault(
            "max_unknown_resends",
            "is 0, but after_unknown is \"resend\"",
            "write how often to send again, e.g. 5, or choose after_unknown = \"park\"",
        ),
        _ => {}
    }
}

/// In enhanced mode the application's own answer comes later: there must be a way in for it.
pub(super) fn check_late_replies(s: &Section<'_>, endpoint: &Endpoint) {
    let on_ours = endpoint.transport.late_replies_on_connection();
    let by_mesh = matches!(endpoint.transport, Transport::Mesh(_));
    let way_in = on_ours || by_mesh || endpoint.listen.is_some();
    if endpoint.ack_mode == AckMode::Enhanced && endpoint.filed_by == FiledBy::ApplicationAck && !way_in {
        s.fault(
            "ack_mode",
            "is \"enhanced\", but the application's acknowledgement, which comes later, has no way in",
            "add [endpoint.listen] if the EPR opens a connection of its own for it, or mllp.late_replies_on_connection = true if it comes on ours",
        );
    }
    if endpoint.ack_mode == AckMode::Original && on_ours {
        s.fault(
            "ack_mode",
            "is \"original\", where there is one reply and none comes later",
            "choose ack_mode = \"enhanced\", or remove mllp.late_replies_on_connection",
        );
    }
}
