-- What must never be, said to the database: it holds even where the application is wrong.

-- The service works as this role (startup option role=usher_app). It owns nothing, so it can neither drop a trigger nor
-- lend itself a right. Roles belong to the whole cluster, hence the look first.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'usher_app') THEN
    CREATE ROLE usher_app NOLOGIN;
  END IF;
  IF NOT pg_has_role(current_user, 'usher_app', 'MEMBER') THEN
    EXECUTE format('GRANT usher_app TO %I', current_user);
  END IF;
EXCEPTION
  -- another database of the same cluster was migrated at the same moment
  WHEN duplicate_object OR unique_violation THEN NULL;
  WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'the role usher_app is missing and % may not create it', current_user
      USING HINT = format('Let an administrator run: CREATE ROLE usher_app NOLOGIN; GRANT usher_app TO %I;', current_user);
END $$;

---------------------------------------------------------------------------------------------------- words and numbers
ALTER TABLE target
  ADD CONSTRAINT target_kind CHECK (kind IN ('rds-instance', 'aurora-cluster', 'rds-proxy')),
  ADD CONSTRAINT target_environment CHECK (environment IN ('prod', 'staging', 'test', 'dev')),
  ADD CONSTRAINT target_account CHECK (account_id ~ '^[0-9]{12}$'),
  ADD CONSTRAINT target_databases CHECK (cardinality(databases) > 0);
ALTER TABLE endpoint
  ADD CONSTRAINT endpoint_kind CHECK (kind IN ('writer', 'reader', 'instance', 'custom', 'proxy')),
  ADD CONSTRAINT endpoint_port CHECK (port BETWEEN 1 AND 65535);
ALTER TABLE profile
  ADD CONSTRAINT profile_groups CHECK (cardinality(groups) > 0),
  ADD CONSTRAINT profile_methods CHECK (cardinality(methods) > 0),
  ADD CONSTRAINT profile_numbers CHECK (max_minutes BETWEEN 1 AND 44640 AND approvals_needed BETWEEN 0 AND 10 AND connection_limit BETWEEN 1 AND 100);
ALTER TABLE request
  ADD CONSTRAINT request_numbers CHECK (duration_minutes >= 1 AND approvals_needed >= 0),
  ADD CONSTRAINT request_reason CHECK (char_length(reason) BETWEEN 1 AND 2000),
  ADD CONSTRAINT request_principal CHECK ((mode = 'attached') = (principal_arn IS NOT NULL)),
  ADD CONSTRAINT request_decided CHECK ((state = 'pending') = (decided_at IS NULL));
-- PostgreSQL's limit for a name is 63 bytes; what is longer it would cut silently, and two people would meet in one role.
ALTER TABLE login_name ADD CONSTRAINT login_name_form CHECK (name ~ '^[a-z_][a-z0-9_]{0,62}$');

-- A name may be used again once its bearer is gone; while it lives it is the only one.
CREATE UNIQUE INDEX target_live_name ON target (name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX target_live_resource ON target (partition, region, account_id, resource_id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX profile_live_name ON profile (target_id, name) WHERE deleted_at IS NULL;

-- Due work is found in O(due).
CREATE INDEX request_pending ON request (decide_by) WHERE state = 'pending';
CREATE INDEX grant_live ON access_grant (target_id, login) WHERE state NOT IN ('closed', 'failed');
CREATE INDEX grant_due_start ON access_grant (starts_at) WHERE state IN ('scheduled', 'opening');
CREATE INDEX grant_due_end ON access_grant (ends_at) WHERE state IN ('scheduled', 'opening', 'active', 'closing');
CREATE INDEX connection_open ON connection (target_id) WHERE ended_at IS NULL;

------------------------------------------------------------------------------------------------- the life of a grant
INSERT INTO grant_move (from_state, to_state) VALUES
  ('scheduled', 'opening'),
  ('scheduled', 'closed'),   -- ended before it began: nothing was opened
  ('opening', 'active'),
  ('opening', 'closing'),
  ('active', 'closing'),
  ('closing', 'closed'),
  ('closing', 'failed');     -- what could never be opened, after it was verified that nothing is left

ALTER TABLE access_grant
  ADD CONSTRAINT grant_period CHECK (ends_at > starts_at),
  ADD CONSTRAINT grant_principal CHECK ((mode = 'attached') = (principal_arn IS NOT NULL)),
  ADD CONSTRAINT grant_active CHECK (state <> 'active' OR opened_at IS NOT NULL),
  ADD CONSTRAINT grant_closing CHECK (state <> 'closing' OR closing_since IS NOT NULL),
  ADD CONSTRAINT grant_ended CHECK ((state IN ('closed', 'failed')) = (closed_at IS NOT NULL)),
  ADD CONSTRAINT grant_failed CHECK (state <> 'failed' OR opened_at IS NULL);

-- Runs with the owner's rights: the application has none on the history.
CREATE FUNCTION grant_moves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state NOT IN ('scheduled', 'opening') THEN
      RAISE EXCEPTION 'a grant begins as scheduled or opening, not %', NEW.state USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.request_id, NEW.target_id, NEW.profile_id, NEW.person_id, NEW.login, NEW.database, NEW.guard_profile, NEW.method, NEW.mode, NEW.principal_arn)
     IS DISTINCT FROM (OLD.request_id, OLD.target_id, OLD.profile_id, OLD.person_id, OLD.login, OLD.database, OLD.guard_profile, OLD.method, OLD.mode, OLD.principal_arn) THEN
    RAISE EXCEPTION 'what a grant gives to whom is never changed' USING ERRCODE = '23514';
  END IF;
  IF NEW.state IS DISTINCT FROM OLD.state THEN
    EXECUTE format('INSERT INTO %I.grant_history (grant_id, from_state, to_state) VALUES ($1, $2, $3)', TG_TABLE_SCHEMA)
      USING NEW.id, OLD.state, NEW.state;
    PERFORM pg_notify('usher_grant', NEW.id::text); -- wakes those who wait for it; heard only if this commits
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER grant_moves BEFORE INSERT OR UPDATE ON access_grant FOR EACH ROW EXECUTE FUNCTION grant_moves();

---------------------------------------------------------------------------------------------------------- the record
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% is append only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;
CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER grant_history_append_only BEFORE UPDATE OR DELETE ON grant_history FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER grant_history_no_truncate BEFORE TRUNCATE ON grant_history FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER login_name_append_only BEFORE UPDATE OR DELETE ON login_name FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER login_name_no_truncate BEFORE TRUNCATE ON login_name FOR EACH STATEMENT EXECUTE FUNCTION append_only();

----------------------------------------------------------------------------------------------------------- the rights
DO $$
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO usher_app', current_schema());
END $$;
GRANT SELECT, INSERT ON person, login_name, target, endpoint, profile, request, vote, access_grant, connection, audit_event, idempotent_answer TO usher_app;
GRANT UPDATE ON person, target, endpoint, profile, request, access_grant, connection TO usher_app;
GRANT DELETE ON endpoint, idempotent_answer TO usher_app;
GRANT SELECT ON grant_move, grant_history TO usher_app;
