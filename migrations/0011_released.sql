-- What waits for its release is in nobody's way in its lane; what waits for another reason is.
ALTER TABLE delivery ADD COLUMN release_at {int};
