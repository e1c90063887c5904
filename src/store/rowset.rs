//! Rows and keys on their way into a statement. What is short travels as one JSON array of arrays, what is long (payloads, messages) beside it in
//! one heap of bytes, told by its place: JSON within JSON would be escaped, unescaped and parsed again for every column.

use super::dialect::Tx;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};
use std::borrow::Cow;
use std::io::Write;
use tokio::sync::Notify;
use uuid::Uuid;

/// One value of a row.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    Nothing,
    Uuid(Uuid),
    Int(i64),
    Text(&'a str),
    /// Short bytes, such as a hash: `{n:bytes}`.
    Hash(&'a [u8]),
    /// Takes two columns: `{n:heap}` or `{n:heap_text}`, and one more.
    Heap(&'a [u8]),
    /// A domain type as JSON, in the heap as well.
    Payload(&'a dyn Payload),
}

/// What stands in a row as JSON.
pub(super) trait Payload {
    fn write(&self, to: &mut Vec<u8>);
}

impl<T: serde::Serialize> Payload for T {
    fn write(&self, to: &mut Vec<u8>) {
        serde_json::to_writer(to, self)
            .expect("our types have string keys and no failing serialisers, and a vector takes it");
    }
}

macro_rules! cells {
    ($($type:ty => $make:expr;)+) => {$(
        impl<'a> From<$type> for Cell<'a> {
            fn from(value: $type) -> Self {
                $make(value)
            }
        }
        impl<'a> From<Option<$type>> for Cell<'a> {
            fn from(value: Option<$type>) -> Self {
                value.map_or(Cell::Nothing, $make)
            }
        }
    )+};
}

cells! {
    Uuid => Cell::Uuid;
    i64 => Cell::Int;
    &'a str => Cell::Text;
}

/// PostgreSQL's text cannot hold U+0000, which a far end's message may: stored and looked for as U+FFFD. Raw bytes are kept as they are.
pub(super) fn as_stored(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Rows of one statement.
pub(super) struct RowSet {
    json: Vec<u8>,
    heap: Vec<u8>,
    rows: usize,
    has_heap: bool,
}

impl Default for RowSet {
    fn default() -> Self {
        Self { json: vec![b'['], heap: Vec::new(), rows: 0, has_heap: false }
    }
}

impl RowSet {
    pub fn row(&mut self, cells: &[Cell<'_>]) {
        self.begin();
        self.json.push(b'[');
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                self.json.push(b',');
            }
            self.cell(*cell);
        }
        self.json.push(b']');
    }

    /// For a list of keys, `{uuids}` and `{texts}`: no row around it.
    pub fn key(&mut self, key: Cell<'_>) {
        self.begin();
        self.cell(key);
    }

    fn begin(&mut self) {
        if self.rows > 0 {
            self.json.push(b',');
        }
        self.rows += 1;
    }

    fn cell(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Nothing => self.json.extend_from_slice(b"null"),
            Cell::Int(n) => self.number(n),
            Cell::Uuid(id) => {
                let mut buffer = Uuid::encode_buffer();
                let text = id.simple().encode_lower(&mut buffer);
                self.json.push(b'"');
                self.json.extend_from_slice(text.as_bytes());
                self.json.push(b'"');
            }
            Cell::Hash(bytes) => {
                self.json.push(b'"');
                self.json.extend_from_slice(super::dialect::hex(bytes).as_bytes());
                self.json.push(b'"');
            }
            Cell::Text(text) => self.string(&as_stored(text)),
            Cell::Heap(bytes) => self.in_heap(|heap| heap.extend_from_slice(bytes)),
            Cell::Payload(payload) => self.in_heap(|heap| payload.write(heap)),
        }
    }

    fn in_heap(&mut self, add: impl FnOnce(&mut Vec<u8>)) {
        self.has_heap = true;
        let from = self.heap.len();
        add(&mut self.heap);
        // SQL counts from one.
        self.number(from + 1);
        self.json.push(b',');
        self.number(self.heap.len() - from);
    }

    fn number(&mut self, n: impl std::fmt::Display) {
        write!(self.json, "{n}").expect("a vector takes it");
    }

    fn string(&mut self, text: &str) {
        serde_json::to_writer(&mut self.json, text).expect("a string becomes JSON, and a vector takes it");
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// `$1`, and `$2` where a cell stood in the heap.
    pub fn arguments(mut self) -> Vec<Argument> {
        self.json.push(b']');
        let json = String::from_utf8(self.json).expect("it was made of text only");
        let heap = self.has_heap.then_some(Argument::Bytes(self.heap));
        std::iter::once(Argument::Text(json)).chain(heap).collect()
    }
}

/// What a statement's parameter is bound to.
pub(super) enum Argument {
    Text(String),
    Int(i64),
    Bytes(Vec<u8>),
}

/// A query with its arguments.
macro_rules! bound {
    ($query:expr, $arguments:expr) => {
        $arguments.into_iter().fold($query, |query, argument| match argument {
            Argument::Text(text) => query.bind(text),
            Argument::Int(n) => query.bind(n),
            Argument::Bytes(bytes) => query.bind(bytes),
        })
    };
}

pub(super) use bound;

/// Asks with a text of ours. Its statement is prepared once for each text: sqlx keeps the last two hundred.
pub(super) async fn fetch<R>(
    tx: &mut Tx,
    sql: String,
    arguments: Vec<Argument>,
    ending: &Notify,
) -> Result<Vec<R>, sqlx::Error>
where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    match tx {
        Tx::Sqlite(connection) => {
            let rows = super::commit::read(connection, &sql, arguments, ending).await?;
            rows.iter().map(R::from_row).collect()
        }
        Tx::Postgres(t) => {
            let query = bound!(sqlx::query_as(AssertSqlSafe(sql)), arguments);
            t.ask(async move |connection| query.fetch_all(connection).await).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::Delivery;
    use crate::domain::entry::Entry;
    use crate::domain::referral::Referral;
    use serde::de::DeserializeOwned;

    /// As rows were written when what is not set stood there as well.
    const DELIVERY: &str = r#"{"id":"01M8F9VPM6F17V1JBBDSNRQMZ6","entry_id":"01M8F9VPM6F0MVVYWF7BAPSND5","subject":{"Note":"01M8F9VPM6E0FBBBSXAC8QV71M"},
        "subject_version":1,"action":"Create","trust":"RZ9","patient_id":"01M8F9VNR4E02T351AF91TRZ93","referral_id":"01M8F9VNR4EDPRMAD0Z4KKK4W0","endpoint":"epr",
        "lane_seq":8,"state":"Queued","version":1,"predecessor":null,"park":null,"evidence":[],"rendering":null,"begun":false,"unresolved":0,"attempts":0,
        "refused_retries":0,"unknown_resends":0,"overridden":[],"approved":null,"sent_for_others":false,"record_id":null,"release_at":null,"next_attempt_at":null,
        "created_at":"2026-11-27T20:06:31.30205545Z","accepted_at":null,"filed_at":null,"cancelled":null,"trace":null}"#;
    const ENTRY: &str = r#"{"id":"01M8F9VP0TFDG9FN8CEN6ADTN7","trust":"RZ9","patient_id":"01M8F9VNATEGR8JTX9Y18XF0G8","referral_id":"01M8F9VNATFJ289FFPRK9B9BHY",
        "subject":{"Note":"01M8F9VP0TETHA6W9QNWDRH0P4"},"version":1,"body":{"Note":{"Create":{"occurred_at":"2026-11-27T19:36:30.68109Z","text":"Met Sam.",
        "contact":{"mechanism":"FaceToFace","attendance":"AttendedOnTime","mode":"Individual","duration_minutes":45,"location":null,"others_present":null},
        "sensitivity":{"third_party":false,"serious_harm":false,"not_for_patient":false},"risk_disclosed":null,"kind":"JobSearch"}}},
        "occurred_at":"2026-11-27T19:36:30.68109Z","recorded_at":"2026-11-27T20:06:30.682354494Z","author":{"staff_id":"ES1042","display_name":"Grace Okafor",
        "role_title":"Employment Specialist","organisation":"A8JX"},"submitted_by":"development","identity":{"nhs_number":null,"nhs_number_status":"Verified",
        "local_identifiers":[],"date_of_birth":"1985-04-12","family":"Testpatient"}}"#;
    const REFERRAL: &str = r#"{"id":"01M8F9V1CFFC7BG6XRQPS2W6DE","trust":"RZ9","version":1,"patient_id":"01M8F9V129F9DTFAG53HMJANAK","state":"Received",
        "details":{"external_ids":[],"source":"P1","priority":"Routine","referrer_name":"MR TUNDE ADEYEMI","referrer_role":null,"referrer_ods":"RZ9",
        "referring_team":null,"team":"IPS-NORTH","site":null,"reason":null,"employment_status":null,"job_retention":false,"months_out_of_work":null},
        "received_at":"2026-03-01T09:00:00Z","accepted_at":null,"declined_at":null,"closed_at":null,"decline_reason":null,"decline_text":null,"close_reason":null,
        "assigned_to":null,"received_from":"epr","received_control_id":"E1X0000000125","touched_at":"2026-11-27T20:06:09.551604111Z","employer_approach":null,
        "close_text":null,"told_at":null,"as_received":false}"#;

    /// Shorter, and the same when it is read.
    fn is_read_as_before<T: DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(before: &str) {
        let read: T = serde_json::from_str(before).expect("a row as it was");
        let mut now = Vec::new();
        read.write(&mut now);
        let now = String::from_utf8(now).expect("text");
        for unset in ["null", "false", "[]", ":0,"] {
            assert!(!now.contains(unset), "{unset} in {now}");
        }
        assert_eq!(serde_json::from_str::<T>(&now).expect("a row as it is"), read);
    }

    #[test]
    fn what_is_not_set_is_not_written_and_rows_that_say_so_read_the_same() {
        is_read_as_before::<Delivery>(DELIVERY);
        is_read_as_before::<Entry>(ENTRY);
        is_read_as_before::<Referral>(REFERRAL);
    }
}
