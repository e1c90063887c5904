-- Ids of what came in tell when it came: no index by that time beside them.
DROP INDEX inbound_by_state_time;

-- SQLite only: nothing is taken out of the audit, so its last number tells the next one, and need not be written down as well.
CREATE TABLE audit_kept (
    seq INTEGER PRIMARY KEY,
    at {int} NOT NULL,
    trust TEXT NOT NULL,
    principal TEXT NOT NULL,
    role TEXT NOT NULL,
    action TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id {uuid},
    patient_id {uuid},
    why TEXT NOT NULL,
    outcome TEXT NOT NULL
) {strict};
INSERT INTO audit_kept SELECT seq, at, trust, principal, role, action, subject_kind, subject_id, patient_id, why, outcome FROM audit;
DROP TABLE audit;
ALTER TABLE audit_kept RENAME TO audit;
