-- Every index that a row is in is a page that a commit writes, and those that are in no order of time are a page for every row. What can be found by another
-- way is found so: the notes of a patient by their referrals, the entries of a referral by its notes and outcomes, the deliveries of both by these. Nothing asks
-- the audit by patient yet.
DROP INDEX note_by_patient;
DROP INDEX outcome_by_patient;
DROP INDEX entry_by_referral;
DROP INDEX audit_by_patient;
DROP INDEX delivery_by_patient;

-- By its value with any type as well: one index for both questions.
CREATE TABLE patient_identifier_kept (
    trust TEXT NOT NULL,
    authority TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    PRIMARY KEY (trust, authority, value, kind)
) {keyed};
INSERT INTO patient_identifier_kept SELECT trust, authority, kind, value, patient_id FROM patient_identifier;
DROP TABLE patient_identifier;
ALTER TABLE patient_identifier_kept RENAME TO patient_identifier;
CREATE INDEX patient_identifier_by_patient ON patient_identifier (patient_id);

-- SQLite only: a table of short rows that is kept in the order of its key is one tree instead of two.
CREATE TABLE lane_kept (
    endpoint_id TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    next_seq {int} NOT NULL,
    next_at {int},
    lease_token {uuid},
    lease_until {int},
    delivery_id {uuid},
    moves_to {uuid},
    moves_by {int},
    PRIMARY KEY (endpoint_id, patient_id)
) {keyed};
INSERT INTO lane_kept SELECT endpoint_id, patient_id, next_seq, next_at, lease_token, lease_until, delivery_id, moves_to, moves_by FROM lane;
DROP TABLE lane;
ALTER TABLE lane_kept RENAME TO lane;
CREATE INDEX lane_due ON lane (endpoint_id, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE step_kept (
    delivery_id {uuid} NOT NULL,
    version {int} NOT NULL,
    at {int} NOT NULL,
    state TEXT NOT NULL,
    what TEXT NOT NULL,
    who TEXT NOT NULL,
    PRIMARY KEY (delivery_id, version)
) {keyed};
INSERT INTO step_kept SELECT delivery_id, version, at, state, what, who FROM step;
DROP TABLE step;
ALTER TABLE step_kept RENAME TO step;

CREATE TABLE request_kept (
    key {bytes} NOT NULL PRIMARY KEY,
    content {bytes} NOT NULL,
    at {int} NOT NULL,
    answer TEXT NOT NULL
) {keyed};
INSERT INTO request_kept SELECT key, content, at, answer FROM request;
DROP TABLE request;
ALTER TABLE request_kept RENAME TO request;
CREATE INDEX request_by_age ON request (at);

CREATE TABLE referral_external_kept (
    trust TEXT NOT NULL,
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    referral_id {uuid} NOT NULL,
    PRIMARY KEY (trust, system, value)
) {keyed};
INSERT INTO referral_external_kept SELECT trust, system, value, referral_id FROM referral_external;
DROP TABLE referral_external;
ALTER TABLE referral_external_kept RENAME TO referral_external;

CREATE TABLE record_name_kept (
    endpoint_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    record_id TEXT NOT NULL,
    subject_id {uuid} NOT NULL,
    PRIMARY KEY (endpoint_id, kind, record_id)
) {keyed};
INSERT INTO record_name_kept SELECT endpoint_id, kind, record_id, subject_id FROM record_name;
DROP TABLE record_name;
ALTER TABLE record_name_kept RENAME TO record_name;
