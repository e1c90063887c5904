-- A row of which the key is in no order, and which is in the order of its key, is a page to write for each, and often two more that it has to be made room on.
-- In the order they came only the index of the keys is.
-- SQLite only
CREATE TABLE request_kept (
    key {bytes} NOT NULL PRIMARY KEY,
    content {bytes} NOT NULL,
    at {int} NOT NULL,
    answer TEXT NOT NULL
) {strict};
INSERT INTO request_kept SELECT key, content, at, answer FROM request ORDER BY at;
DROP TABLE request;
ALTER TABLE request_kept RENAME TO request;
