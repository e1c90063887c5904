-- Whether somebody has a value at all, under whatever type a message gives it.
CREATE INDEX patient_identifier_by_value ON patient_identifier (trust, authority, value);
