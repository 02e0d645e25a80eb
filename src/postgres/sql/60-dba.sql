-- 6. For the DBA only. The first part runs with usher_owner's rights.

-- Custody: never to a richer role (a SECURITY DEFINER function or trigger planted by the person would run with its rights).
CREATE FUNCTION usher.retire(login text)
RETURNS TABLE (database text, kind text, owned boolean, n bigint, objects text[]) LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  u := usher._managed(login);
  IF EXISTS (SELECT 1 FROM usher.lease x WHERE x.role = u AND x.closed_at IS NULL) THEN
    PERFORM usher._refuse('live_lease', 'close its leases first', '55006');
  END IF;
  PERFORM usher._sync(u);
  UPDATE usher.login x SET retired_at = coalesce(x.retired_at, clock_timestamp()) WHERE x.role = u;
  RETURN QUERY SELECT * FROM usher.owned(login);   -- as it was before
  PERFORM usher._borrow(login::name, true);
  BEGIN
    EXECUTE format('REASSIGN OWNED BY %I TO usher_parked', login);
    EXECUTE format('DROP OWNED BY %I', login);
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'not parked here: % (GRANT CREATE ON SCHEMA ... TO usher_parked, then retire again)', SQLERRM;
  END;
  PERFORM usher._give_back(login::name);
  RETURN QUERY SELECT '(still) ' || o.database, o.kind, o.owned, o.n, o.objects FROM usher.owned(login) o
    WHERE o.kind <> 'pg_auth_members';
END $$;

-- Other databases: lend(login), then in each of them REASSIGN OWNED BY <login> TO usher_parked; DROP OWNED BY <login>; then
-- lend(login, false).
CREATE FUNCTION usher.lend(login text, on_ boolean DEFAULT true) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  u := usher._managed(login);
  IF NOT on_ THEN
    EXECUTE format('REVOKE %I, usher_parked FROM %I', login, session_user);
    RETURN;
  END IF;
  IF NOT EXISTS (SELECT 1 FROM usher.login x WHERE x.role = u AND x.retired_at IS NOT NULL) THEN
    PERFORM usher._refuse('not_retired', 'retire it first', '55006');
  END IF;
  EXECUTE format('GRANT %I, usher_parked TO %I', login, session_user)
    || CASE WHEN usher._since16() THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
END $$;

CREATE FUNCTION usher.drop(login text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  u := usher._managed(login);
  IF EXISTS (SELECT 1 FROM usher.lease x WHERE x.role = u AND x.closed_at IS NULL) THEN
    PERFORM usher._refuse('live_lease', 'close its leases first', '55006');
  END IF;
  EXECUTE format('DROP ROLE %I', login);
  DELETE FROM usher.login x WHERE x.role = u;
END $$;

-- How the broker itself logs in: 'iam', a SCRAM verifier, or NULL (locked).
CREATE FUNCTION usher.broker_auth(how text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF how = 'iam' THEN
    GRANT rds_iam TO usher_broker;
    ALTER ROLE usher_broker LOGIN PASSWORD NULL;
    RETURN;
  END IF;
  IF pg_has_role('usher_broker', 'rds_iam', 'MEMBER') THEN REVOKE rds_iam FROM usher_broker; END IF;
  IF how IS NULL THEN
    ALTER ROLE usher_broker NOLOGIN PASSWORD NULL;
  ELSE
    PERFORM usher._check_verifier('password', how);
    EXECUTE format('ALTER ROLE usher_broker LOGIN PASSWORD %L', how);
  END IF;
END $$;

-- Run on 14/15 before a major upgrade to 16+: from there on CREATEROLE acts only on roles it holds ADMIN on, and the old ones
-- carry none. No lease may be live: pg_upgrade re-makes memberships as granted by the superuser, and those we could not revoke.
CREATE FUNCTION usher.before_major_upgrade() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  r record;
  n int := 0;
BEGIN
  PERFORM usher._lock();
  IF EXISTS (SELECT 1 FROM usher.lease WHERE closed_at IS NULL) THEN
    PERFORM usher._refuse('live_lease', 'set paused=on and close every lease first', '55006');
  END IF;
  FOR r IN SELECT p.rolname FROM pg_roles p WHERE p.oid IN (SELECT role FROM usher.login)
       OR p.rolname IN ('usher_broker', 'usher_managed', 'usher_parked')
       OR p.rolname IN (SELECT unnest(groups) FROM usher.profile) LOOP
    EXECUTE format('GRANT %I TO usher_owner WITH ADMIN OPTION', r.rolname);
    n := n + 1;
  END LOOP;
  RETURN n;
END $$;
RESET ROLE;

-- Runs with the DBA's own rights: writes the allow-list and gives usher_owner the ADMIN option it needs on 16+.
CREATE FUNCTION usher.allow(profile text, groups text[], max_minutes int, connection_limit int DEFAULT 5, methods text[] DEFAULT '{iam}')
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  g text;
  bad text;
BEGIN
  FOREACH g IN ARRAY groups LOOP
    bad := usher._bad_group(g);
    IF bad IS NOT NULL THEN RAISE EXCEPTION 'group % may not be given: %', quote_ident(g), bad; END IF;
    IF current_setting('server_version_num')::int >= 160000 THEN
      EXECUTE format('GRANT %I TO usher_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', g);
    END IF;
  END LOOP;
  INSERT INTO usher.profile AS x (name, groups, max_minutes, connection_limit, methods)
    VALUES (profile, groups, max_minutes, connection_limit, methods)
    ON CONFLICT ON CONSTRAINT profile_pkey DO UPDATE SET groups = excluded.groups, max_minutes = excluded.max_minutes,
      connection_limit = excluded.connection_limit, methods = excluded.methods, enabled = true;
END $$;

-- Fails on a live lease or an owned object, and then nothing is removed.
CREATE FUNCTION usher.uninstall() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  r record;
  k name := (SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE oid = 'usher.enter()'::regprocedure);
BEGIN
  FOR r IN SELECT p.rolname FROM usher.login l JOIN pg_roles p ON p.oid = l.role LOOP
    PERFORM usher.drop(r.rolname);
  END LOOP;
  PERFORM usher.enter();
  REVOKE rds_iam FROM usher_owner;                 -- before the master may be seen as a member
  DROP OWNED BY usher_owner CASCADE;
  DROP ROLE usher_managed;
  DROP SCHEMA usher CASCADE;
  DROP ROLE usher_broker, usher_parked, usher_owner;
  BEGIN
    EXECUTE format('DROP ROLE %I', k);
    RETURN 'removed';
  EXCEPTION WHEN insufficient_privilege THEN
    RETURN format('removed; %I stays: NOLOGIN, no attributes, no members, only rdsadmin could drop it', k);
  END;
END $$;
