-- Batches committed, by whichever bridge: one that finds the number it left knows that what it remembers is what is there.
ALTER TABLE feed ADD COLUMN commits {int} NOT NULL DEFAULT 0;
