-- Which document of ours the record's own id means, at one endpoint: the first that was found under it. `kind` is the entry's, because a record may
-- number its documents and its observations each from one. Another's only when the first is in doubt, and a list or a report says so.
CREATE TABLE record_name (
    endpoint_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    record_id TEXT NOT NULL,
    subject_id {uuid} NOT NULL,
    PRIMARY KEY (endpoint_id, kind, record_id)
) {strict};
INSERT INTO record_name (endpoint_id, kind, record_id, subject_id)
SELECT d.endpoint_id, e.kind, {json} ->> 'record_id', d.subject_id
FROM delivery d JOIN entry e ON e.id = d.entry_id
WHERE {json} ->> 'record_id' IS NOT NULL
ORDER BY COALESCE(d.filed_at, d.accepted_at, d.created_at), d.id
ON CONFLICT DO NOTHING;
