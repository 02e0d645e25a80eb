-- 3. Inner functions, called by the others only. Owned by usher_owner; they run inside a SECURITY DEFINER function that has
-- pinned search_path, DateStyle, TimeZone and lock_timeout (see 6).

CREATE FUNCTION usher.version() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '1.0' $$;

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

-- The sweep's way to the lock. A stolen broker login may sit on it in an open transaction, with more sessions queued behind:
-- whoever of the broker's sessions still holds or awaits it after 5 s is ended. It must not be able to stop closing.
CREATE FUNCTION usher._lock_hard() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  hog int[];
BEGIN
  FOR i IN 1..8 LOOP
    BEGIN
      PERFORM set_config('lock_timeout', CASE WHEN i = 1 THEN '5s' ELSE '300ms' END, true);
      PERFORM usher._lock();
      PERFORM set_config('lock_timeout', '10s', true);
      RETURN;
    EXCEPTION WHEN lock_not_available THEN
      SELECT array_agg(k.pid) INTO hog FROM pg_locks k JOIN pg_stat_activity a USING (pid)
       WHERE k.relation = 'usher.mutex'::regclass AND a.usesysid = 'usher_broker'::regrole
         AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.pid <> pg_backend_pid();
      IF hog IS NOT NULL THEN
        RAISE LOG 'usher: ending % broker sessions that keep the lock', cardinality(hog);
        PERFORM usher._kill('usher_broker'::regrole, hog);
      END IF;
    END;
  END LOOP;
  PERFORM usher._lock();
END $$;

-- A role made by usher and still the same role (by oid). A missing role and a foreign one are told apart.
CREATE FUNCTION usher._managed(u text) RETURNS oid LANGUAGE plpgsql STABLE AS $$
DECLARE
  r oid;
BEGIN
  SELECT l.role INTO r FROM usher.login l JOIN pg_roles p ON p.oid = l.role WHERE p.rolname = u;
  IF r IS NOT NULL THEN RETURN r; END IF;
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = u) THEN
    PERFORM usher._refuse('not_managed', format('role %s is not managed by usher', quote_ident(u)), '42501');
  END IF;
  PERFORM usher._refuse('no_such_login', format('no login %s', quote_nullable(u)), '42704');
END $$;

-- Why a group may not be handed out, or NULL. Looks through every role it reaches, at allow() and again at each open: the
-- DBA may later have added something rich to it.
CREATE FUNCTION usher._bad_group(g text) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH RECURSIVE up(o) AS (
    SELECT oid FROM pg_roles WHERE rolname = g
    UNION SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.o)
  SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM up) THEN 'does not exist' ELSE (
    SELECT 'reaches ' || quote_ident(r.rolname) FROM up JOIN pg_roles r ON r.oid = up.o
     WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolcanlogin
        OR r.rolname ~ '^(usher_|rds)'
        OR (r.rolname ~ '^pg_' AND r.rolname NOT IN ('pg_read_all_data', 'pg_write_all_data', 'pg_monitor',
              'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_maintain'))
     LIMIT 1) END
$$;

-- Membership of ONE login, for the length of a call. From 16 on ADMIN alone gives neither its rights nor SET ROLE.
CREATE FUNCTION usher._borrow(u name, as_role boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('GRANT %I TO usher_owner', u)
    || CASE WHEN usher._since16() THEN ' WITH INHERIT TRUE, SET ' || as_role::text ELSE '' END;
END $$;
CREATE FUNCTION usher._give_back(u name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('REVOKE %I FROM usher_owner', u) || CASE WHEN usher._since16() THEN ' GRANTED BY usher_owner' ELSE '' END;
END $$;

-- End the sessions of one role and wait up to 2 s for them to be gone. Borrows membership for the statement instead of
-- holding pg_signal_backend over the whole cluster: the master, rdsadmin and other people stay out of reach.
CREATE FUNCTION usher._kill(u oid, only_pid int[] DEFAULT NULL) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  nm name := (SELECT rolname FROM pg_roles WHERE oid = u);
  p int;
  n int := 0;
  till timestamptz := clock_timestamp() + interval '2 s';
BEGIN
  IF NOT usher._has_backend(u, only_pid) THEN RETURN 0; END IF;
  PERFORM usher._borrow(nm, false);
  FOR p IN SELECT pid FROM pg_stat_activity
            WHERE usesysid = u AND pid <> pg_backend_pid() AND (only_pid IS NULL OR pid = ANY (only_pid)) LOOP
    BEGIN
      IF pg_terminate_backend(p) THEN n := n + 1; END IF;
    EXCEPTION WHEN insufficient_privilege THEN NULL;   -- the pid was reused
    END;
  END LOOP;
  PERFORM usher._give_back(nm);
  LOOP
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN clock_timestamp() > till OR NOT usher._has_backend(u, only_pid);
    PERFORM pg_sleep(0.005);
  END LOOP;
  RETURN n;
END $$;

CREATE FUNCTION usher._has_backend(u oid, only_pid int[]) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT 1 FROM pg_stat_activity
    WHERE usesysid = u AND pid <> pg_backend_pid() AND (only_pid IS NULL OR pid = ANY (only_pid)))
$$;

-- Close the door. A user may hold his own pg_authid row (BEGIN; ALTER ROLE me PASSWORD ...) to stall us: his sessions go
-- first then.
CREATE FUNCTION usher._nologin(u oid, nm name) RETURNS void LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
BEGIN
  FOR i IN 1..6 LOOP
    BEGIN
      EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL', nm);
      RETURN;
    EXCEPTION WHEN lock_not_available OR internal_error THEN
      PERFORM usher._kill(u);
    END;
  END LOOP;
  PERFORM usher._refuse('role_locked', format('cannot close %s: its role row stays locked', quote_ident(nm)), '55P03');
END $$;

-- Make the role what its live leases say. Used by open, close and sweep, so that all three agree and each repairs the others:
-- reference counting by construction.
CREATE FUNCTION usher._sync(u oid, verifier text DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v16 boolean := usher._since16();
  nm name;
  live int;
  meth text;
  lim int;
  until timestamptz;
  want oid[];
  r record;
  kept text[] := '{}';
BEGIN
  SELECT rolname INTO nm FROM pg_roles WHERE oid = u;
  IF nm IS NULL THEN RETURN jsonb_build_object('live', 0, 'dropped', true); END IF;
  SELECT count(*), max(l.method), max(l.ends_at), max(p.connection_limit) INTO live, meth, until, lim
    FROM usher.lease l JOIN usher.profile p ON p.name = l.profile WHERE l.role = u AND l.closed_at IS NULL;
  IF live = 0 THEN PERFORM usher._nologin(u, nm); END IF;   -- door first, privileges after
  SELECT array_agg(g.oid) INTO want FROM pg_roles g
   WHERE (live > 0 AND meth = 'iam' AND g.rolname = 'rds_iam') OR g.rolname IN
     (SELECT unnest(p.groups) FROM usher.lease l JOIN usher.profile p ON p.name = l.profile
       WHERE l.role = u AND l.closed_at IS NULL);
  want := coalesce(want, '{}');

  -- 14: every role may grant ITSELF to others (who then share its rights and, through rds_iam, lose their password login)
  FOR r IN SELECT DISTINCT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.member
            WHERE m.roleid = u AND m.member <> 'usher_owner'::regrole LOOP
    BEGIN EXECUTE format('REVOKE %I FROM %I', nm, r.rolname); EXCEPTION WHEN insufficient_privilege THEN NULL; END;
  END LOOP;
  FOR r IN SELECT DISTINCT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
            WHERE m.member = u AND g.rolname <> 'usher_managed' AND g.oid <> ALL (want)
              AND (NOT v16 OR m.grantor = 'usher_owner'::regrole) LOOP
    BEGIN EXECUTE format('REVOKE %I FROM %I', r.rolname, nm); EXCEPTION WHEN insufficient_privilege THEN NULL; END;
  END LOOP;
  FOR r IN SELECT g.rolname FROM pg_roles g WHERE g.oid = ANY (want) AND NOT EXISTS (SELECT 1 FROM pg_auth_members m
            WHERE m.roleid = g.oid AND m.member = u AND (NOT v16 OR m.grantor = 'usher_owner'::regrole)) ORDER BY 1 LOOP
    -- SET FALSE: the person uses the group's rights and never becomes the group, so owns nothing in its name
    EXECUTE format('GRANT %I TO %I', r.rolname, nm) || CASE WHEN v16 THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END;
  END LOOP;
  IF live > 0 THEN
    EXECUTE format('ALTER ROLE %I LOGIN CONNECTION LIMIT %s VALID UNTIL %L', nm, lim, until)
      || CASE WHEN meth = 'iam' THEN ' PASSWORD NULL' WHEN verifier IS NOT NULL THEN format(' PASSWORD %L', verifier) ELSE '' END;
  END IF;

  SELECT coalesce(array_agg(g.rolname::text ORDER BY 1), '{}') INTO kept   -- granted by somebody else
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
   WHERE m.member = u AND g.rolname <> 'usher_managed' AND g.oid <> ALL (want);
  RETURN jsonb_build_object('login', nm, 'live', live, 'ends_at', until, 'leftover', kept);
END $$;

-- For sweep(), which may not hold a search_path of its own: see there.
CREATE FUNCTION usher._more(j jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT (j->>'more')::boolean
$$;
CREATE FUNCTION usher._skip(j jsonb) RETURNS oid[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
  SELECT ARRAY(SELECT x::oid FROM jsonb_array_elements_text(j->'skip') x)
$$;
