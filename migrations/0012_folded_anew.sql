-- Family names are compared without their accents in every script now. Those that may be folded otherwise than before: each is folded anew when the record is
-- opened, which no text of ours can do.
CREATE TABLE refold (
    id {uuid} NOT NULL PRIMARY KEY
) {keyed};
INSERT INTO refold SELECT id FROM patient WHERE octet_length(folded_family) <> length(folded_family);
