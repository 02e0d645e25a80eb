-- 6. For the DBA only. The first part runs with usher_owner's rights.

-- How the broker itself logs in: 'iam', a SCRAM verifier, or NULL: locked out, and its sessions ended. Who logged in before that was
-- committed is ended by calling it once more. A thief may hold the role's rows: his sessions go first then.
CREATE FUNCTION usher.broker_auth(how text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  b oid := 'usher_broker'::regrole;
BEGIN
  IF how IS NULL THEN
    PERFORM usher._insist(b, 'ALTER ROLE usher_broker NOLOGIN PASSWORD NULL');
    PERFORM usher._kill(b);
  END IF;
  PERFORM usher._tidy_broker();
  IF how = 'iam' THEN
    GRANT rds_iam TO usher_broker;
    PERFORM usher._insist(b, 'ALTER ROLE usher_broker LOGIN PASSWORD NULL');
    RETURN;
  END IF;
  IF pg_has_role('usher_broker', 'rds_iam', 'MEMBER') THEN REVOKE rds_iam FROM usher_broker; END IF;
  IF how IS NOT NULL THEN
    PERFORM usher._check_verifier(how);
    PERFORM usher._insist(b, format('ALTER ROLE usher_broker LOGIN PASSWORD %L', how));
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
  FOR r IN SELECT p.rolname FROM pg_roles p WHERE p.oid IN (SELECT role FROM usher.login WHERE dropped_at IS NULL)
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
      connection_limit = excluded.connection_limit, methods = excluded.methods, enabled = true,
      manages_passwords = false, creates_roles = false;
END $$;

-- The one way to rds_password, for the few people who set other people's passwords; an act of its own, so that allow() can never
-- do it by a slip of the pen. creates_roles gives CREATEROLE too, which AWS says such people need. Before 16 that reaches every role
-- that is no superuser, rds_superuser among them: whoever has it is master of the cluster.
CREATE FUNCTION usher.allow_password_manager(profile text, max_minutes int, connection_limit int DEFAULT 2,
  creates_roles boolean DEFAULT false, methods text[] DEFAULT '{iam}', accept_risk boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
BEGIN
  IF to_regrole('rds_password') IS NULL THEN RAISE EXCEPTION 'role rds_password not found: is this RDS?'; END IF;
  IF creates_roles AND NOT accept_risk AND current_setting('server_version_num')::int < 160000 THEN
    RAISE EXCEPTION 'before PostgreSQL 16 CREATEROLE reaches every role that is no superuser'
      USING HINT = 'Leave creates_roles off, or say accept_risk => true.';
  END IF;
  IF current_setting('server_version_num')::int >= 160000 THEN
    GRANT rds_password TO usher_owner WITH ADMIN OPTION;
  END IF;
  INSERT INTO usher.profile AS x (name, groups, max_minutes, connection_limit, methods, manages_passwords, creates_roles)
    VALUES (profile, '{rds_password}', max_minutes, connection_limit, methods, true, creates_roles)
    ON CONFLICT ON CONSTRAINT profile_pkey DO UPDATE SET groups = excluded.groups, max_minutes = excluded.max_minutes,
      connection_limit = excluded.connection_limit, methods = excluded.methods, enabled = true,
      manages_passwords = true, creates_roles = excluded.creates_roles;
END $$;

-- Fails on a live lease or an owned object, and then nothing is removed.
CREATE FUNCTION usher.uninstall() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  r record;
  k name := (SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE oid = 'usher.enter()'::regprocedure);
BEGIN
  FOR r IN SELECT p.rolname FROM usher.login l JOIN pg_roles p ON p.oid = l.role WHERE l.dropped_at IS NULL LOOP
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
