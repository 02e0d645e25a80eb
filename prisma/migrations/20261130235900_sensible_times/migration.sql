-- A line is of a time that every reader can hold: 'infinity' is none. Lines of before stand as they are.
ALTER TABLE audit_event ADD CONSTRAINT audit_event_at CHECK (at >= '2000-01-01T00:00:00Z' AND at < '10000-01-01T00:00:00Z') NOT VALID;
