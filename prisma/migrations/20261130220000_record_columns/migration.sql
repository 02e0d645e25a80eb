-- The service writes lines of the record, and never their ordinal: one of its own choice would stand below what is sealed already,
-- shown by a search and sealed by nobody.
REVOKE INSERT ON audit_event FROM usher_app;
GRANT INSERT (id, at, actor_kind, actor_id, actor_name, via_service_id, via_name, subject_id, action, outcome, target_id,
  request_id, grant_id, code, details, address, correlation_id) ON audit_event TO usher_app;
