//! What a batch of writes may have to read, each source one `SELECT` of the same columns, so that whatever a round needs is asked in one statement.

use super::dialect::statement;
use uuid::Uuid;

/// What a row is; each carries its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Feed,
    Request,
    PatientByNhs,
    PatientByFormerNhs,
    PatientByLocal,
    PatientByValue,
    ReferralByExternal,
    Patient,
    Referral,
    Note,
    Outcome,
    Entry,
    Delivery,
    Attempt,
    Inbound,
    Endpoint,
    Lane,
    Rendering,
    RenderingByControl,
    Claimable,
    RecordName,
    ChainOfDue,
    InboundByControl,
}

impl Of {
    const ALL: [Self; 23] = [
        Self::Feed,
        Self::Request,
        Self::PatientByNhs,
        Self::PatientByFormerNhs,
        Self::PatientByLocal,
        Self::PatientByValue,
        Self::ReferralByExternal,
        Self::Patient,
        Self::Referral,
        Self::Note,
        Self::Outcome,
        Self::Entry,
        Self::Delivery,
        Self::Attempt,
        Self::Inbound,
        Self::Endpoint,
        Self::Lane,
        Self::Rendering,
        Self::RenderingByControl,
        Self::Claimable,
        Self::RecordName,
        Self::ChainOfDue,
        Self::InboundByControl,
    ];

    pub fn number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|of| *of as i32 == number)
    }
}

/// A row of any source: its number, five texts, four ids, four numbers, two of bytes. What a place holds is told by the source's text.
pub(super) type Found = (
    i32,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Uuid>,
    Option<Uuid>,
    Option<Uuid>,
    Option<Uuid>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

/// The places of [`Found`].
const COLUMNS: [(&str, &str); 15] = [
    ("t1", "text"),
    ("t2", "text"),
    ("t3", "text"),
    ("t4", "text"),
    ("t5", "text"),
    ("u1", "uuid"),
    ("u2", "uuid"),
    ("u3", "uuid"),
    ("u4", "uuid"),
    ("n1", "int"),
    ("n2", "int"),
    ("n3", "int"),
    ("n4", "int"),
    ("b1", "bytes"),
    ("b2", "bytes"),
];

/// One source's text: which of its columns stand where, the other places empty.
fn select(of: Of, places: &[(&str, &str)], from: &str) -> String {
    let columns = COLUMNS.iter().map(|(place, kind)| {
        let own = places.iter().find(|(p, _)| p == place).map(|(_, own)| (*own).to_owned());
        format!("{} AS {place}", own.unwrap_or_else(|| format!("{{none:{kind}}}")))
    });
    let columns: Vec<String> = columns.collect();
    format!("SELECT {} AS source, {} FROM {from}", of as i32, columns.join(", "))
}

/// Whether a subject is among the notes, outcomes and referrals of some patients; `$who` says which, behind the column.
macro_rules! subjects_of {
    ($who:literal) => {
        concat!(
            "{among}SELECT n.id FROM referral f JOIN note n ON n.referral_id = f.id WHERE f.patient_id ",
            $who,
            " UNION ALL SELECT o.id FROM referral f JOIN outcome o ON o.referral_id = f.id WHERE f.patient_id ",
            $who,
            " UNION ALL SELECT f.id FROM referral f WHERE f.patient_id ",
            $who,
            "{end}"
        )
    };
}
pub(super) use subjects_of;

macro_rules! source {
    ($name:ident, $of:ident, $from:expr, $($place:ident = $own:literal),+) => {
        statement!($name, &select(Of::$of, &[$((stringify!($place), $own)),+], $from));
    };
}

source!(FEED, Feed, "feed WHERE id = 1", n1 = "position", n2 = "open", n3 = "commits", n4 = "{clock}");
source!(
    REQUESTS,
    Request,
    "request WHERE key IN (SELECT {0:bytes} FROM {rows})",
    t1 = "answer",
    b1 = "key",
    b2 = "content"
);
source!(
    PATIENTS_BY_NHS,
    PatientByNhs,
    "patient WHERE nhs_number IS NOT NULL AND (trust, nhs_number) IN (SELECT {0:text}, {1:text} FROM {rows})",
    t1 = "trust",
    t2 = "nhs_number",
    u1 = "id"
);
source!(
    PATIENTS_BY_FORMER_NHS,
    PatientByFormerNhs,
    "patient_identifier WHERE (trust, authority, kind, value) IN (SELECT {0:text}, 'NHS', 'NH', {1:text} FROM {rows})",
    t1 = "trust",
    t2 = "value",
    u1 = "patient_id"
);
source!(
    PATIENTS_BY_LOCAL,
    PatientByLocal,
    "patient_identifier WHERE (trust, authority, kind, value) IN (SELECT {0:text}, {1:text}, {2:text}, {3:text} FROM {rows})",
    t1 = "trust",
    t2 = "authority",
    t3 = "kind",
    t4 = "value",
    u1 = "patient_id"
);
source!(
    PATIENTS_BY_VALUE,
    PatientByValue,
    "patient_identifier WHERE (trust, authority, value) IN (SELECT {0:text}, {1:text}, {2:text} FROM {rows})",
    t1 = "trust",
    t2 = "authority",
    t3 = "value",
    u1 = "patient_id"
);
source!(
    REFERRALS_BY_EXTERNAL,
    ReferralByExternal,
    "referral_external WHERE (trust, system, value) IN (SELECT {0:text}, {1:text}, {2:text} FROM {rows})",
    t1 = "trust",
    t2 = "system",
    t3 = "value",
    u1 = "referral_id"
);
source!(PATIENTS, Patient, "patient WHERE id IN {uuids}", t1 = "payload");
source!(REFERRALS, Referral, "referral WHERE id IN {uuids}", t1 = "payload");
source!(REFERRALS_OF, Referral, "referral WHERE patient_id IN {uuids}", t1 = "payload");
source!(NOTES, Note, "note WHERE id IN {uuids}", t1 = "payload");
source!(
    NOTES_OF,
    Note,
    "note WHERE referral_id IN (SELECT id FROM referral WHERE patient_id IN {uuids})",
    t1 = "payload"
);
source!(OUTCOMES, Outcome, "outcome WHERE id IN {uuids}", t1 = "payload");
source!(
    OUTCOMES_OF,
    Outcome,
    "outcome WHERE referral_id IN (SELECT id FROM referral WHERE patient_id IN {uuids})",
    t1 = "payload"
);
source!(OUTCOMES_OF_REFERRAL, Outcome, "outcome WHERE referral_id IN {uuids}", t1 = "payload");
source!(ENTRIES, Entry, "entry WHERE id IN {uuids}", t1 = "payload");
source!(DELIVERIES, Delivery, "delivery WHERE id IN {uuids}", t1 = "payload");
source!(CHAINS, Delivery, "delivery WHERE subject_id IN {uuids}", t1 = "payload");
source!(DELIVERIES_OF, Delivery, concat!("delivery WHERE subject_id ", subjects_of!("IN {uuids}")), t1 = "payload");
// While a merged patient's lane waits for its lease to end, its deliveries are of notes that are the survivor's already.
source!(
    DELIVERIES_OF_LANES,
    Delivery,
    concat!(
        "delivery WHERE subject_id ",
        subjects_of!(
            "IN (SELECT {1:uuid} FROM {rows} UNION ALL SELECT l.moves_to FROM lane l \
                 WHERE (l.endpoint_id, l.patient_id) IN (SELECT {0:text}, {1:uuid} FROM {rows}))"
        )
    ),
    t1 = "payload"
);
source!(ATTEMPTS, Attempt, "attempt WHERE id IN {uuids}", t1 = "payload");
source!(INBOUND, Inbound, "inbound WHERE id IN {uuids}", t1 = "payload");
source!(
    INBOUND_BY_CONTROL,
    InboundByControl,
    "{rows} WHERE EXISTS (SELECT 1 FROM inbound i WHERE i.endpoint_id = {0:text} AND i.source = {1:text} AND i.control_id = {2:text})",
    t1 = "{0:text}",
    t2 = "{1:text}",
    t3 = "{2:text}"
);
source!(ENDPOINTS, Endpoint, "endpoint WHERE id IN {texts}", t1 = "payload");
/// A lane's columns.
const LANE: [(&str, &str); 8] = [
    ("t1", "endpoint_id"),
    ("u1", "patient_id"),
    ("u2", "lease_token"),
    ("u3", "delivery_id"),
    ("u4", "moves_to"),
    ("n1", "next_seq"),
    ("n2", "lease_until"),
    ("n3", "moves_by"),
];
statement!(
    LANES,
    &select(Of::Lane, &LANE, "lane WHERE (endpoint_id, patient_id) IN (SELECT {0:text}, {1:uuid} FROM {rows})")
);
source!(RENDERINGS, Rendering, "rendering WHERE id IN {uuids}", t1 = "payload", b1 = "bytes");
source!(
    RENDERINGS_BY_CONTROL,
    RenderingByControl,
    "rendering WHERE (endpoint_id, control_id) IN (SELECT {0:text}, {1:text} FROM {rows})",
    t1 = "endpoint_id",
    t2 = "control_id",
    u1 = "id"
);
source!(
    RECORD_NAMES,
    RecordName,
    "record_name WHERE (endpoint_id, kind, record_id) IN (SELECT {0:text}, {1:text}, {2:text} FROM {rows})",
    t1 = "endpoint_id",
    t2 = "kind",
    t3 = "record_id",
    u1 = "subject_id"
);
// $1 the endpoint, $2 lanes at most: only what workers that are gone left behind, however much waits beside it.
source!(
    LEFT_BEHIND,
    Claimable,
    "(SELECT endpoint_id, patient_id FROM lane \
     WHERE endpoint_id = $1 AND next_at <= {due} AND lease_token IS NOT NULL ORDER BY next_at LIMIT $2) AS due",
    t1 = "endpoint_id",
    u1 = "patient_id"
);
/// `$1` the endpoint, `$2` lanes at most, `$3` the bridge's own time: those whose heads may be sent, the longest due first. A sum, because SQLite looks into a limit that is a
/// parameter and nothing else, and plans the whole statement anew whenever that is another number.
const DUE: &str = "endpoint_id = $1 AND {is_due} ORDER BY next_at LIMIT $2 + 0";
/// The delivery that goes first in a `lane`, by the bridge's own time in `$3`: what waits for its release is in nobody's way.
const HEAD: &str = "COALESCE( \
       (SELECT d.id FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'BACKING_OFF' \
        ORDER BY d.lane_seq LIMIT 1), \
       (SELECT d.id FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'QUEUED' \
        AND (d.release_at IS NULL OR d.release_at <= $3) ORDER BY d.lane_seq LIMIT 1), \
       (SELECT d.id FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.ask_at IS NOT NULL \
        ORDER BY d.ask_at LIMIT 1))";

// What a claim looks at, all of it at once: each lane's head with what it says and of whom, ...
statement!(
    CLAIMABLE,
    &select(
        Of::Claimable,
        &[
            ("t1", "due.endpoint_id"),
            ("t2", "h.payload"),
            ("t3", "e.payload"),
            ("t4", "p.payload"),
            ("t5", "f.payload"),
            ("u1", "due.patient_id"),
            ("u2", "due.head"),
            ("u3", "h.patient_id"),
            ("u4", "e.referral_id")
        ],
        &format!(
            "(SELECT endpoint_id, patient_id, {HEAD} AS head FROM lane WHERE {DUE}) AS due \
             LEFT JOIN delivery h ON h.id = due.head LEFT JOIN entry e ON e.id = h.entry_id \
             LEFT JOIN patient p ON p.id = h.patient_id LEFT JOIN referral f ON f.id = e.referral_id"
        )
    )
);
// ... the lanes themselves, ...
statement!(DUE_LANES, &select(Of::Lane, &LANE, &format!("(SELECT * FROM lane WHERE {DUE}) AS due")));
// ... and the other deliveries of the heads' subjects.
statement!(
    DUE_CHAINS,
    &select(
        Of::ChainOfDue,
        &[("t1", "payload"), ("u1", "id")],
        &format!(
            "delivery WHERE subject_id IN (SELECT h.subject_id FROM \
             (SELECT {HEAD} AS head FROM lane WHERE {DUE}) AS due JOIN delivery h ON h.id = due.head)"
        )
    )
);
