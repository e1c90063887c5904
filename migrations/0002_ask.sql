-- When the record is asked whether it holds what was received; NULL: it is not asked. Such an ask is a lane's business once nothing of that
-- lane waits to be sent.
ALTER TABLE delivery ADD COLUMN ask_at {int};
CREATE INDEX delivery_asks ON delivery (endpoint_id, patient_id, ask_at) WHERE ask_at IS NOT NULL;
