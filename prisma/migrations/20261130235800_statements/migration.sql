-- What was run on a target, by what it touched and by its kind. Statements of a session are found by its process, as before.

-- Who dropped this table: the beginning of the name, for a row of an index holds 2,704 bytes and a function's name has all its arguments.
CREATE INDEX server_log_event_object ON server_log_event (target_id, left(details->>'objectName', 200), at)
  WHERE kind = 'statement' AND details->>'objectName' IS NOT NULL;
-- Definitions, roles and the like are few among what reads and writes; those are found on any page.
CREATE INDEX server_log_event_class ON server_log_event (target_id, (details->>'statementClass'), at)
  WHERE kind = 'statement' AND details->>'statementClass' NOT IN ('READ', 'WRITE');
