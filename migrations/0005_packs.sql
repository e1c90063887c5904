-- Packs as they were activated, byte for byte: what an endpoint works with, whatever the packs' folder holds since. Which of them it is stands in the
-- endpoint's payload, with those it can go back to; what neither names is taken away in the commit that makes it so.
CREATE TABLE pack_content (
    endpoint_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    at {int} NOT NULL,
    bytes {bytes} NOT NULL,
    PRIMARY KEY (endpoint_id, fingerprint)
) {strict};
