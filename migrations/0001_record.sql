-- One text for both databases; {uuid} {int} {bytes} {serial} {strict} are replaced for each.
-- payload is the JSON of the domain type; the columns beside it are what we look up, order or count by.
-- Times are microseconds since 1970. entry, *_version, rendering, reply, step and audit rows are appended, never changed.

CREATE TABLE patient (
    id {uuid} NOT NULL PRIMARY KEY,
    trust TEXT NOT NULL,
    nhs_number TEXT,
    folded_family TEXT NOT NULL,
    date_of_birth TEXT NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE UNIQUE INDEX patient_by_nhs_number ON patient (trust, nhs_number) WHERE nhs_number IS NOT NULL;
CREATE INDEX patient_by_name ON patient (trust, folded_family, date_of_birth);

CREATE TABLE patient_version (
    id {uuid} NOT NULL,
    version {int} NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (id, version)
) {strict};

CREATE TABLE patient_identifier (
    trust TEXT NOT NULL,
    authority TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    PRIMARY KEY (trust, authority, kind, value)
) {strict};
CREATE INDEX patient_identifier_by_patient ON patient_identifier (patient_id);

CREATE TABLE referral (
    id {uuid} NOT NULL PRIMARY KEY,
    trust TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    state TEXT NOT NULL,
    team TEXT NOT NULL,
    assigned_to TEXT,
    received_at {int} NOT NULL,
    touched_at {int} NOT NULL,
    position {int} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE INDEX referral_by_patient ON referral (patient_id);
CREATE INDEX referral_by_trust ON referral (trust, id);
CREATE INDEX referral_by_position ON referral (position);

CREATE TABLE referral_version (
    id {uuid} NOT NULL,
    version {int} NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (id, version)
) {strict};

CREATE TABLE referral_external (
    trust TEXT NOT NULL,
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    referral_id {uuid} NOT NULL,
    PRIMARY KEY (trust, system, value)
) {strict};

CREATE TABLE note (
    id {uuid} NOT NULL PRIMARY KEY,
    trust TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    referral_id {uuid} NOT NULL,
    occurred_at {int} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE INDEX note_by_referral ON note (referral_id, id);
CREATE INDEX note_by_patient ON note (patient_id, id);

CREATE TABLE outcome (
    id {uuid} NOT NULL PRIMARY KEY,
    trust TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    referral_id {uuid} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE INDEX outcome_by_referral ON outcome (referral_id, id);
CREATE INDEX outcome_by_patient ON outcome (patient_id, id);

CREATE TABLE entry (
    id {uuid} NOT NULL PRIMARY KEY,
    trust TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    referral_id {uuid} NOT NULL,
    subject_id {uuid} NOT NULL,
    version {int} NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    recorded_at {int} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE UNIQUE INDEX entry_by_subject ON entry (subject_id, version);
CREATE INDEX entry_by_referral ON entry (referral_id, recorded_at);
CREATE INDEX entry_by_trust ON entry (trust, recorded_at);

CREATE TABLE delivery (
    id {uuid} NOT NULL PRIMARY KEY,
    entry_id {uuid} NOT NULL,
    subject_id {uuid} NOT NULL,
    trust TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    endpoint_id TEXT NOT NULL,
    lane_seq {int} NOT NULL,
    state TEXT NOT NULL,
    park_reason TEXT,
    waiting_for TEXT,
    -- 1: its predecessor must be settled first
    blocked {int} NOT NULL,
    due_at {int} NOT NULL,
    created_at {int} NOT NULL,
    accepted_at {int},
    filed_at {int},
    position {int} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE INDEX delivery_by_subject ON delivery (subject_id);
-- OR, not IN: SQLite sees only then that a query for one of the two states may use it.
CREATE INDEX delivery_ready ON delivery (endpoint_id, patient_id, state, lane_seq) WHERE blocked = 0 AND (state = 'QUEUED' OR state = 'BACKING_OFF');
CREATE INDEX delivery_parked ON delivery (id) WHERE state = 'PARKED';
CREATE INDEX delivery_open ON delivery (endpoint_id, state, created_at) WHERE state NOT IN ('FILED', 'CANCELLED');
CREATE INDEX delivery_by_filing ON delivery (endpoint_id, filed_at) WHERE filed_at IS NOT NULL;
CREATE INDEX delivery_by_creation ON delivery (endpoint_id, created_at);
CREATE INDEX delivery_by_position ON delivery (position);
CREATE INDEX delivery_by_patient ON delivery (patient_id);

-- The unit of claim. next_at: when its head may be sent; while leased, when the lease ends; NULL: nothing to do.
CREATE TABLE lane (
    endpoint_id TEXT NOT NULL,
    patient_id {uuid} NOT NULL,
    next_seq {int} NOT NULL,
    next_at {int},
    lease_token {uuid},
    lease_until {int},
    delivery_id {uuid},
    PRIMARY KEY (endpoint_id, patient_id)
) {strict};
CREATE INDEX lane_due ON lane (endpoint_id, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE rendering (
    id {uuid} NOT NULL PRIMARY KEY,
    delivery_id {uuid} NOT NULL,
    endpoint_id TEXT NOT NULL,
    control_id TEXT NOT NULL,
    created_at {int} NOT NULL,
    bytes {bytes} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE UNIQUE INDEX rendering_by_control_id ON rendering (endpoint_id, control_id);
CREATE INDEX rendering_by_delivery ON rendering (delivery_id);

CREATE TABLE attempt (
    id {uuid} NOT NULL PRIMARY KEY,
    delivery_id {uuid} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE INDEX attempt_by_delivery ON attempt (delivery_id, id);

CREATE TABLE reply (
    id {uuid} NOT NULL PRIMARY KEY,
    endpoint_id TEXT NOT NULL,
    delivery_id {uuid},
    received_at {int} NOT NULL,
    bytes {bytes} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE INDEX reply_by_delivery ON reply (delivery_id, id);

CREATE TABLE step (
    delivery_id {uuid} NOT NULL,
    version {int} NOT NULL,
    at {int} NOT NULL,
    state TEXT NOT NULL,
    what TEXT NOT NULL,
    who TEXT NOT NULL,
    PRIMARY KEY (delivery_id, version)
) {strict};

CREATE TABLE endpoint (
    id TEXT NOT NULL PRIMARY KEY,
    payload TEXT NOT NULL
) {strict};

-- What was answered to a request id, so that the same request gets the same answer.
CREATE TABLE request (
    key {bytes} NOT NULL PRIMARY KEY,
    content {bytes} NOT NULL,
    at {int} NOT NULL,
    answer TEXT NOT NULL
) {strict};
CREATE INDEX request_by_age ON request (at);

CREATE TABLE audit (
    seq {serial},
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
CREATE INDEX audit_by_patient ON audit (patient_id, at);

CREATE TABLE inbound (
    id {uuid} NOT NULL PRIMARY KEY,
    trust TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    received_at {int} NOT NULL,
    source TEXT NOT NULL,
    control_id TEXT NOT NULL,
    content {bytes} NOT NULL,
    state TEXT NOT NULL,
    bytes {bytes} NOT NULL,
    payload TEXT NOT NULL
) {strict};
CREATE INDEX inbound_by_control_id ON inbound (endpoint_id, source, control_id);
CREATE INDEX inbound_by_state ON inbound (endpoint_id, state, id);

-- One row. position: the last one handed out; taking it locks the row until commit, so positions follow commit order.
-- open: deliveries neither filed nor cancelled, counted in the same commit that changes them, whichever bridge does.
CREATE TABLE feed (
    id {int} NOT NULL PRIMARY KEY,
    position {int} NOT NULL,
    open {int} NOT NULL
) {strict};
INSERT INTO feed (id, position, open) VALUES (1, 0, 0);
