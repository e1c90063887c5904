-- Patients that change, die and are merged by message. One text for both databases; words in {…} as in 0001.

-- A lane of a patient who was merged into another leads on for ever: its deliveries go to that patient's lane (the same endpoint), their numbers
-- raised by moves_by, a stretch that was kept free there. While it is leased it waits for the lease to end.
ALTER TABLE lane ADD COLUMN moves_to {uuid};
ALTER TABLE lane ADD COLUMN moves_by {int};

-- The accept rule by which a message was ignored.
ALTER TABLE inbound ADD COLUMN rule TEXT;
CREATE INDEX inbound_by_state_time ON inbound (endpoint_id, state, received_at);
