//! The statements that write what a batch changed, each for both databases.
//!
//! A commit is all or nothing, so no statement need be able to take back its own rows only: on SQLite `{all}` spares it a copy of every page it
//! touches. An `ON CONFLICT DO UPDATE` has to make that copy whatever it is told, so rows that are known to be new are inserted by another one.

use super::dialect::statement;

/// One statement for rows that are new, one for rows that are there.
macro_rules! put {
    ($add:ident, $put:ident, $rows:expr, $there:expr) => {
        statement!($add, &format!("INSERT{{all}} {}", $rows));
        statement!($put, &format!("INSERT {} WHERE true {}", $rows, $there));
    };
}

statement!(
    PUT_PATIENTS,
    "INSERT INTO patient (id, trust, nhs_number, folded_family, date_of_birth, payload) \
     SELECT {0:uuid}, {1:text}, {2:text}, {3:text}, {4:text}, {5:heap_text} FROM {rows} WHERE true \
     ON CONFLICT (id) DO UPDATE SET nhs_number = excluded.nhs_number, folded_family = excluded.folded_family, \
       date_of_birth = excluded.date_of_birth, payload = excluded.payload"
);
statement!(
    ADD_PATIENT_VERSIONS,
    "INSERT{all} INTO patient_version (id, version, payload) SELECT {0:uuid}, {1:int}, {2:heap_text} FROM {rows}"
);
statement!(DROP_IDENTIFIERS, "DELETE FROM patient_identifier WHERE patient_id IN {uuids}");
statement!(
    ADD_IDENTIFIERS,
    "INSERT{all} INTO patient_identifier (trust, authority, kind, value, patient_id) \
     SELECT {0:text}, {1:text}, {2:text}, {3:text}, {4:uuid} FROM {rows}"
);
put!(
    ADD_REFERRALS,
    PUT_REFERRALS,
    "INTO referral (id, trust, patient_id, state, team, assigned_to, received_at, touched_at, position, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:text}, {4:text}, {5:text}, {6:int}, {7:int}, {8:int}, {9:heap_text} FROM {rows}",
    "ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, state = excluded.state, team = excluded.team, assigned_to = excluded.assigned_to, \
       touched_at = excluded.touched_at, position = excluded.position, payload = excluded.payload"
);
statement!(
    ADD_REFERRAL_VERSIONS,
    "INSERT{all} INTO referral_version (id, version, payload) SELECT {0:uuid}, {1:int}, {2:heap_text} FROM {rows}"
);
statement!(
    ADD_EXTERNALS,
    "INSERT{all} INTO referral_external (trust, system, value, referral_id) SELECT {0:text}, {1:text}, {2:text}, {3:uuid} FROM {rows}"
);
put!(
    ADD_NOTES,
    PUT_NOTES,
    "INTO note (id, trust, patient_id, referral_id, occurred_at, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:int}, {5:heap_text} FROM {rows}",
    "ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, occurred_at = excluded.occurred_at, payload = excluded.payload"
);
put!(
    ADD_OUTCOMES,
    PUT_OUTCOMES,
    "INTO outcome (id, trust, patient_id, referral_id, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:heap_text} FROM {rows}",
    "ON CONFLICT (id) DO UPDATE SET patient_id = excluded.patient_id, payload = excluded.payload"
);
statement!(
    ADD_ENTRIES,
    "INSERT{all} INTO entry (id, trust, patient_id, referral_id, subject_id, version, kind, action, recorded_at, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:uuid}, {4:uuid}, {5:int}, {6:text}, {7:text}, {8:int}, {9:heap_text} FROM {rows}"
);
const DELIVERY: &str = "INTO delivery (id, entry_id, subject_id, trust, patient_id, endpoint_id, lane_seq, state, park_reason, waiting_for, blocked, due_at, \
       created_at, accepted_at, filed_at, position, payload, ask_at, release_at) \
     SELECT {0:uuid}, {1:uuid}, {2:uuid}, {3:text}, {4:uuid}, {5:text}, {6:int}, {7:text}, {8:text}, {9:text}, {10:int}, {11:int}, {12:int}, {13:int}, \
       {14:int}, {15:int}, {16:heap_text}, {18:int}, {19:int} FROM {rows}";
const IN_ITS_PLACE: &str = "ON CONFLICT (id) DO UPDATE SET state = excluded.state, park_reason = excluded.park_reason, waiting_for = excluded.waiting_for, \
       blocked = excluded.blocked, due_at = excluded.due_at, accepted_at = excluded.accepted_at, filed_at = excluded.filed_at, \
       position = excluded.position, payload = excluded.payload, ask_at = excluded.ask_at, release_at = excluded.release_at";
put!(ADD_DELIVERIES, PUT_DELIVERIES, DELIVERY, IN_ITS_PLACE);
// Those that move with their patient. The others keep their place: SQLite writes every index of a column that is set, changed or not.
statement!(
    PLACE_DELIVERIES,
    &format!(
        "INSERT {DELIVERY} WHERE true {IN_ITS_PLACE}, patient_id = excluded.patient_id, lane_seq = excluded.lane_seq"
    )
);
statement!(
    PUT_LANES,
    "INSERT INTO lane (endpoint_id, patient_id, next_seq, lease_token, lease_until, delivery_id, moves_to, moves_by) \
     SELECT {0:text}, {1:uuid}, {2:int}, {3:uuid}, {4:int}, {5:uuid}, {6:uuid}, {7:int} FROM {rows} WHERE true \
     ON CONFLICT (endpoint_id, patient_id) DO UPDATE SET next_seq = excluded.next_seq, lease_token = excluded.lease_token, \
       lease_until = excluded.lease_until, delivery_id = excluded.delivery_id, moves_to = excluded.moves_to, moves_by = excluded.moves_by"
);
// $2: now; $3: how far the clock on the wall is ahead of that of leases, so that all lanes are due by one. What backs off holds its lane; then the first that is released; where none is, whatever comes first in time.
statement!(
    SET_HEADS,
    "UPDATE lane SET next_at = CASE WHEN lease_token IS NOT NULL THEN lease_until + $3 ELSE COALESCE( \
       (SELECT d.due_at FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'BACKING_OFF' \
        ORDER BY d.lane_seq LIMIT 1), \
       (SELECT d.due_at FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'QUEUED' \
        AND (d.release_at IS NULL OR d.release_at <= $2) ORDER BY d.lane_seq LIMIT 1), \
       (SELECT MIN(due.at) FROM ( \
          SELECT d.due_at AS at FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.blocked = 0 AND d.state = 'QUEUED' \
          UNION ALL \
          SELECT d.ask_at FROM delivery d WHERE d.endpoint_id = lane.endpoint_id AND d.patient_id = lane.patient_id AND d.ask_at IS NOT NULL) AS due)) END \
     WHERE (endpoint_id, patient_id) IN (SELECT {0:text}, {1:uuid} FROM {rows})"
);
statement!(
    ADD_RENDERINGS,
    "INSERT{all} INTO rendering (id, delivery_id, endpoint_id, control_id, created_at, bytes, payload) \
     SELECT {0:uuid}, {1:uuid}, {2:text}, {3:text}, {4:int}, {5:heap}, {7:heap_text} FROM {rows}"
);
put!(
    ADD_ATTEMPTS,
    PUT_ATTEMPTS,
    "INTO attempt (id, delivery_id, payload) SELECT {0:uuid}, {1:uuid}, {2:heap_text} FROM {rows}",
    "ON CONFLICT (id) DO UPDATE SET payload = excluded.payload"
);
statement!(
    ADD_REPLIES,
    "INSERT{all} INTO reply (id, endpoint_id, delivery_id, received_at, bytes, payload) \
     SELECT {0:uuid}, {1:text}, {2:uuid}, {3:int}, {4:heap}, {6:heap_text} FROM {rows}"
);
statement!(
    ADD_RECORD_NAMES,
    "INSERT INTO record_name (endpoint_id, kind, record_id, subject_id) SELECT {0:text}, {1:text}, {2:text}, {3:uuid} FROM {rows} WHERE true \
     ON CONFLICT (endpoint_id, kind, record_id) DO UPDATE SET subject_id = excluded.subject_id"
);
statement!(
    ADD_STEPS,
    "INSERT{all} INTO step (delivery_id, version, at, state, what, who) SELECT {0:uuid}, {1:int}, {2:int}, {3:text}, {4:text}, {5:text} FROM {rows}"
);
statement!(
    PUT_ENDPOINTS,
    "INSERT INTO endpoint (id, payload) SELECT {0:text}, {1:heap_text} FROM {rows} WHERE true ON CONFLICT (id) DO UPDATE SET payload = excluded.payload"
);
// A second row of the feed cannot be: where one of these control ids is known, the commit fails.
statement!(
    NO_SUCH_MESSAGES,
    "INSERT{all} INTO feed (id, position, open, commits) SELECT 1, 0, 0, 0 FROM inbound \
     WHERE (endpoint_id, source, control_id) IN (SELECT {0:text}, {1:text}, {2:text} FROM {rows})"
);
statement!(DROP_REQUESTS, "DELETE FROM request WHERE key IN (SELECT {0:bytes} FROM {rows})");
statement!(FORGET_IGNORED, "UPDATE inbound SET bytes = {bytes_none} WHERE state = 'IGNORED' AND id IN {uuids}");
statement!(
    ADD_REQUESTS,
    "INSERT{all} INTO request (key, content, at, answer) SELECT {0:bytes}, {1:bytes}, {2:int}, {3:heap_text} FROM {rows}"
);
statement!(
    ADD_AUDITS,
    "INSERT{all} INTO audit (at, trust, principal, role, action, subject_kind, subject_id, patient_id, why, outcome) \
     SELECT {0:int}, {1:text}, {2:text}, {3:text}, {4:text}, {5:text}, {6:uuid}, {7:uuid}, {8:text}, {9:text} FROM {rows}"
);
put!(
    ADD_INBOUND,
    PUT_INBOUND,
    "INTO inbound (id, trust, endpoint_id, received_at, source, control_id, content, state, bytes, payload, rule) \
     SELECT {0:uuid}, {1:text}, {2:text}, {3:int}, {4:text}, {5:text}, {6:bytes}, {7:text}, {8:heap}, {10:heap_text}, {12:text} FROM {rows}",
    "ON CONFLICT (id) DO UPDATE SET control_id = excluded.control_id, state = excluded.state, payload = excluded.payload, rule = excluded.rule, \
     bytes = CASE WHEN excluded.state = 'IGNORED' THEN excluded.bytes ELSE inbound.bytes END"
);
statement!(COUNT, "UPDATE feed SET position = position + $1, open = open + $2, commits = commits + 1 WHERE id = 1");
statement!(
    ADD_PACKS,
    "INSERT INTO pack_content (endpoint_id, fingerprint, at, bytes) \
     SELECT {0:text}, {1:text}, {2:int}, {3:heap} FROM {rows} WHERE true ON CONFLICT DO NOTHING"
);
statement!(DROP_PACKS, "DELETE FROM pack_content WHERE endpoint_id = $2 AND fingerprint NOT IN {texts}");
