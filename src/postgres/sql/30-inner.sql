-- 3. Inner functions, called by the others only. Owned by usher_owner; they run inside a SECURITY DEFINER function that has
-- pinned search_path, DateStyle, TimeZone and lock_timeout (see 7).

CREATE FUNCTION usher.version() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '1.1' $$;

-- Only upwards: an older text would not know what a newer one keeps. 1.0 does not look, but it drops version(), and that fails
-- while a column depends on it.
DO $$
DECLARE
  old text := nullif(current_setting('usher.before', true), '');
BEGIN
  IF string_to_array(old, '.')::int[] > string_to_array(usher.version(), '.')::int[] THEN
    RAISE EXCEPTION 'usher % is installed here, which is newer than this text (%)', old, usher.version();
  END IF;
  ALTER TABLE usher.installed ALTER version SET DEFAULT usher.version();
  INSERT INTO usher.installed DEFAULT VALUES;
END $$;

CREATE FUNCTION usher._since16() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT current_setting('server_version_num')::int >= 160000
$$;

-- Every refusal names its reason where a program can read it: the error fields SCHEMA (usher) and CONSTRAINT (the reason).
CREATE FUNCTION usher._refuse(reason text, message text, sqlstate_ text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING MESSAGE = message, ERRCODE = sqlstate_, SCHEMA = 'usher', CONSTRAINT = reason;
END $$;

-- One writer at a time. Read committed only: an older snapshot would not see the lease that was opened while we waited,
-- and close would take a newer lease away.
CREATE FUNCTION usher._lock() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    PERFORM usher._refuse('isolation', 'usher needs READ COMMITTED', '25001');
  END IF;
  LOCK TABLE usher.mutex IN EXCLUSIVE MODE;
END $$;

-- A role made by usher and still the same role (by oid), under its own name. What is missing, foreign or renamed is told apart.
CREATE FUNCTION usher._managed(u text) RETURNS oid LANGUAGE plpgsql STABLE AS $$
DECLARE
  r oid;
  now_ name;
BEGIN
  SELECT l.role, p.rolname INTO r, now_ FROM usher.login l JOIN pg_roles p ON p.oid = l.role
   WHERE l.name = u AND l.dropped_at IS NULL;
  IF now_ = u THEN RETURN r; END IF;
  IF now_ IS NOT NULL THEN
    PERFORM usher._refuse('renamed', format('login %s was renamed to %I: usher.repair() renames it back', quote_ident(u), now_), '55000');
  END IF;
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = u) THEN
    PERFORM usher._refuse('not_managed', format('role %s is not managed by usher', quote_ident(u)), '42501');
  END IF;
  PERFORM usher._refuse('no_such_login', format('no login %s', quote_nullable(u)), '42704');
END $$;

-- Why a group may not be handed out, or NULL. Looks through every role it reaches, at allow() and again at each open: the
-- DBA may later have added something rich to it. rds_password is the one exception, for profiles of allow_password_manager().
CREATE FUNCTION usher._bad_group(g text, manages_passwords boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  up oid[] := ARRAY[to_regrole(quote_ident(g))::oid];
  more oid[];
BEGIN
  IF up[1] IS NULL OR octet_length(g) > 63 THEN RETURN 'does not exist'; END IF;   -- to_regrole() would cut it
  LOOP
    more := ARRAY(SELECT DISTINCT m.roleid FROM pg_auth_members m WHERE m.member = ANY (up) AND m.roleid <> ALL (up));
    EXIT WHEN more = '{}';
    up := up || more;
  END LOOP;
  RETURN (SELECT 'reaches ' || quote_ident(r.rolname) FROM pg_roles r
    WHERE r.oid = ANY (up) AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolcanlogin
       OR (r.rolname ~ '^(usher_|rds)' AND NOT (manages_passwords AND r.rolname = 'rds_password'))
       OR (r.rolname ~ '^pg_' AND r.rolname NOT IN ('pg_read_all_data', 'pg_write_all_data', 'pg_monitor',
             'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_maintain')))
    LIMIT 1);
END $$;

-- With rds.restrict_password_commands only members of rds_password may set a password or VALID UNTIL.
CREATE FUNCTION usher._may_set_passwords() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT coalesce(current_setting('rds.restrict_password_commands', true), '') NOT IN ('on', '1', 'true', 'yes')
    OR pg_has_role('usher_owner', to_regrole('rds_password'), 'MEMBER') IS TRUE
$$;

CREATE FUNCTION usher._list(names name[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN (SELECT string_agg(quote_ident(n), ', ') FROM unnest(names) n);   -- in plpgsql: see _wanted()
END $$;

-- Membership of logins, for the length of a call: gives the names that were not held already. From 16 on ADMIN alone gives neither
-- their rights nor SET ROLE, and neither is kept: what usher_owner holds decides whose hidden sessions it may end.
CREATE FUNCTION usher._borrow_all(who oid[]) RETURNS name[] LANGUAGE plpgsql AS $$
DECLARE
  fresh name[] := ARRAY(SELECT r.rolname FROM pg_roles r WHERE r.oid = ANY (who) AND NOT EXISTS (SELECT 1 FROM pg_auth_members m
    WHERE m.roleid = r.oid AND m.member = 'usher_owner'::regrole AND (NOT usher._since16() OR m.grantor = 'usher_owner'::regrole)));
BEGIN
  IF fresh <> '{}' THEN
    EXECUTE format('GRANT %s TO usher_owner', usher._list(fresh)) || CASE WHEN usher._since16() THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END;
  END IF;
  RETURN fresh;
END $$;
CREATE FUNCTION usher._give_back_all(who name[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF who <> '{}' THEN
    EXECUTE format('REVOKE %s FROM usher_owner', usher._list(who)) || CASE WHEN usher._since16() THEN ' GRANTED BY usher_owner' ELSE '' END;
  END IF;
END $$;
CREATE FUNCTION usher._borrow(u name) RETURNS void LANGUAGE sql AS $$
  SELECT usher._borrow_all(ARRAY(SELECT oid FROM pg_roles WHERE rolname = u))
$$;
CREATE FUNCTION usher._give_back(u name) RETURNS void LANGUAGE sql AS $$ SELECT usher._give_back_all(ARRAY[u]) $$;

-- For sweep(), which may not hold a search_path of its own: see there.
CREATE FUNCTION usher._more(j jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT (j->>'more')::boolean
$$;
CREATE FUNCTION usher._skip(j jsonb) RETURNS oid[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT ARRAY(SELECT x::oid FROM jsonb_array_elements_text(j->'skip') x)
$$;
