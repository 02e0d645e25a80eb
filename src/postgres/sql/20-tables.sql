-- 2. Tables, and a clean slate for the routines.

-- An upgrade drops every routine first: signatures may change, and nothing obsolete keeps its EXECUTE right. Nobody sees the
-- gap, it is inside the transaction. enter() and leave() belong to the keeper and are never touched.
DO $$
DECLARE
  f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS sig, p.proowner::regrole::text AS own FROM pg_proc p
            WHERE p.pronamespace = 'usher'::regnamespace AND p.proname NOT IN ('enter', 'leave') LOOP
    IF f.own = 'usher_owner' THEN SET LOCAL ROLE usher_owner; END IF;
    EXECUTE format('DROP ROUTINE %s', f.sig);
    RESET ROLE;
  END LOOP;
END $$;

-- Written by the DBA only: a bug in a function still cannot widen the allow-list.
CREATE TABLE IF NOT EXISTS usher.setting (name text PRIMARY KEY, value text NOT NULL);
INSERT INTO usher.setting VALUES
  ('paused', 'off'),                               -- the kill switch: nothing opens, closing goes on
  ('login_pattern', '^[a-z_][a-z0-9_]{0,62}$'),    -- may only narrow what open() accepts
  ('max_logins', '2000'),                          -- 16+ grows slow with more: drop idle logins (usher.drop)
  ('max_live_leases', '10000'),
  ('max_live_per_login', '10'),
  ('max_opens_per_hour', '2000'),
  ('history_days', '400')
ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS usher.profile (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
  groups text[] NOT NULL,
  max_minutes int NOT NULL CHECK (max_minutes BETWEEN 1 AND 44640),
  connection_limit int NOT NULL DEFAULT 5 CHECK (connection_limit BETWEEN 1 AND 100),
  methods text[] NOT NULL DEFAULT '{iam}' CHECK (methods <@ '{iam,password}'),
  enabled boolean NOT NULL DEFAULT true            -- false: the next sweep ends its live leases too
);
REVOKE ALL ON usher.setting, usher.profile FROM PUBLIC;
GRANT SELECT ON usher.setting, usher.profile TO usher_owner;

-- Written by the functions only.
SET LOCAL ROLE usher_owner;
CREATE TABLE IF NOT EXISTS usher.mutex ();         -- a lock nobody outside can take; pg_advisory_lock is free for every user
CREATE TABLE IF NOT EXISTS usher.login (           -- by oid: a role re-created by hand under the same name is not ours
  role oid PRIMARY KEY,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  retired_at timestamptz
);
CREATE TABLE IF NOT EXISTS usher.lease (
  grant_id text PRIMARY KEY,
  role oid NOT NULL,
  login text NOT NULL,
  profile text NOT NULL,
  method text NOT NULL,
  opened_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  closed_at timestamptz,
  closed_why text,
  opened_by text NOT NULL DEFAULT session_user,
  opened_from inet DEFAULT inet_client_addr()
);
CREATE INDEX IF NOT EXISTS lease_live ON usher.lease (role) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS lease_opened ON usher.lease (opened_at);
REVOKE ALL ON usher.mutex, usher.login, usher.lease FROM PUBLIC;
