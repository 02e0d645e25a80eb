-- 2. Tables, and a clean slate for the routines.

-- An upgrade drops every routine first: signatures may change, and nothing obsolete keeps its EXECUTE right. Nobody sees the
-- gap, it is inside the transaction. enter() and leave() belong to the keeper and are never touched.
DO $$
DECLARE
  f record;
BEGIN
  IF to_regclass('usher.installed') IS NOT NULL THEN
    SET LOCAL ROLE usher_owner;
    ALTER TABLE usher.installed ALTER version DROP DEFAULT;   -- see 3: it keeps older texts out
    DROP VIEW usher.standing;
    RESET ROLE;
  END IF;
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
  ('max_opens_per_hour', '2000'),                  -- counted for new leases only: an end can always be moved
  ('accept_md5', 'off'),                           -- on: set_password() takes md5 too, for clients that know no SCRAM
  ('history_days', '400')
ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS usher.profile (
  name text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_-]{0,62}$'),
  groups text[] NOT NULL,
  max_minutes int NOT NULL CHECK (max_minutes BETWEEN 1 AND 44640),
  connection_limit int NOT NULL DEFAULT 5 CHECK (connection_limit BETWEEN 1 AND 100),
  methods text[] NOT NULL DEFAULT '{iam}' CHECK (methods <@ '{iam,password}'),
  enabled boolean NOT NULL DEFAULT true            -- false: gives nothing from now on; the next sweep ends its live leases
);
ALTER TABLE usher.profile
  ADD COLUMN IF NOT EXISTS manages_passwords boolean NOT NULL DEFAULT false,   -- set by allow_password_manager() only
  ADD COLUMN IF NOT EXISTS creates_roles boolean NOT NULL DEFAULT false,
  DROP CONSTRAINT IF EXISTS profile_exception,
  ADD CONSTRAINT profile_exception CHECK (CASE WHEN manages_passwords THEN groups = '{rds_password}' ELSE NOT creates_roles END);
REVOKE ALL ON usher.setting, usher.profile FROM PUBLIC;
GRANT SELECT ON usher.setting, usher.profile TO usher_owner;

-- Written by the functions only.
SET LOCAL ROLE usher_owner;
CREATE TABLE IF NOT EXISTS usher.mutex ();         -- a lock nobody outside can take; pg_advisory_lock is free for every user
CREATE TABLE IF NOT EXISTS usher.login (           -- the role by oid: one re-created by hand under the same name is not ours
  role oid NOT NULL,
  name text PRIMARY KEY,                           -- never another person's: the row stays when the role is dropped
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  retired_at timestamptz
);
ALTER TABLE usher.login
  ADD COLUMN IF NOT EXISTS person text,            -- null: made by 1.0, belongs to who opens it next
  ADD COLUMN IF NOT EXISTS method text,
  ADD COLUMN IF NOT EXISTS dropped_at timestamptz,
  ADD COLUMN IF NOT EXISTS lost_at timestamptz;    -- before 16: sessions older than this may still be in a group it has lost
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
ALTER TABLE usher.lease                            -- as agreed at the opening: the allow-list may take from it, never add
  ADD COLUMN IF NOT EXISTS groups text[],
  ADD COLUMN IF NOT EXISTS connection_limit int,
  ADD COLUMN IF NOT EXISTS creates_roles boolean NOT NULL DEFAULT false;
CREATE TABLE IF NOT EXISTS usher.opened (minute timestamptz PRIMARY KEY, n int NOT NULL);   -- the quota reads 61 rows, not the history
CREATE TABLE IF NOT EXISTS usher.swept (by_ text PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS usher.installed (version text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(), by_ text NOT NULL DEFAULT session_user);

-- From 1.0, which knew a login by its role only, and went by the name the role had at the time.
DO $$
BEGIN
  IF EXISTS (SELECT 1 FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
              WHERE c.conname = 'login_pkey' AND c.connamespace = 'usher'::regnamespace AND a.attname = 'role') THEN
    UPDATE usher.login l SET name = r.rolname FROM pg_roles r WHERE r.oid = l.role AND r.rolname <> l.name;
    DELETE FROM usher.login l WHERE EXISTS (SELECT 1 FROM usher.login o WHERE o.name = l.name AND o.role <> l.role
      AND ((SELECT count(*) FROM pg_roles r WHERE r.oid = o.role), o.created_at, o.role)
        > ((SELECT count(*) FROM pg_roles r WHERE r.oid = l.role), l.created_at, l.role));
    ALTER TABLE usher.login DROP CONSTRAINT login_pkey, ADD PRIMARY KEY (name);
    INSERT INTO usher.login (role, name, dropped_at) SELECT max(x.role), x.login, clock_timestamp() FROM usher.lease x
      WHERE x.method <> '' AND NOT EXISTS (SELECT 1 FROM usher.login l WHERE l.name = x.login) GROUP BY x.login;
    UPDATE usher.login l SET method = (SELECT x.method FROM usher.lease x WHERE x.login = l.name AND x.method <> ''
      ORDER BY x.closed_at IS NULL DESC, x.opened_at DESC LIMIT 1);
    UPDATE usher.lease x SET groups = coalesce(p.groups, '{}'), connection_limit = coalesce(p.connection_limit, 1)
      FROM usher.lease y LEFT JOIN usher.profile p ON p.name = y.profile WHERE y.grant_id = x.grant_id AND x.closed_at IS NULL;
    DROP INDEX usher.lease_opened;
  END IF;
END $$;
CREATE UNIQUE INDEX IF NOT EXISTS login_role ON usher.login (role) WHERE dropped_at IS NULL;
CREATE INDEX IF NOT EXISTS lease_live ON usher.lease (role) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS lease_closed ON usher.lease (closed_at);
REVOKE ALL ON usher.mutex, usher.login, usher.lease, usher.opened, usher.swept, usher.installed FROM PUBLIC;

-- What the leases give at this moment: what was agreed, as far as the allow-list still has it.
CREATE VIEW usher.standing AS
  SELECT l.role, l.login, l.grant_id, l.profile, l.method, l.ends_at, ARRAY(SELECT DISTINCT g FROM unnest(l.groups) g WHERE g = ANY (p.groups)) AS groups,
         least(l.connection_limit, p.connection_limit) AS connection_limit, l.creates_roles AND p.creates_roles AS creates_roles
    FROM usher.lease l JOIN usher.profile p ON p.name = l.profile
   WHERE l.closed_at IS NULL AND l.ends_at > clock_timestamp() AND p.enabled AND l.method = ANY (p.methods);
REVOKE ALL ON usher.standing FROM PUBLIC;
