-- 1. Roles, schema and the way back in. Runs once; an upgrade only borrows usher_owner for this transaction.
--
-- Why a keeper: on PostgreSQL 16+ whoever creates a role is its ADMIN member for ever, and pg_hba's "+rds_iam" matches ANY
-- membership path. If the master created usher_owner, the master itself would count as an IAM user and its password would
-- stop working. So a throw-away role creates the keeper and the owner and is dropped again: no path master -> rds_iam.

-- 1a. Install or upgrade? usher.keeper is the name of the role to make, and empty for an upgrade.
DO $$
DECLARE
  k name := 'usher_keeper';
  i int := 1;
BEGIN
  PERFORM set_config('usher.keeper', '', true);
  IF current_setting('server_version_num')::int < 140000 THEN RAISE EXCEPTION 'usher needs PostgreSQL 14 or newer'; END IF;

  IF to_regnamespace('usher') IS NOT NULL THEN
    IF to_regprocedure('usher.enter()') IS NULL THEN RAISE EXCEPTION 'schema usher exists and is not ours'; END IF;
    PERFORM set_config('usher.before', usher.version(), true);   -- looked at in 3
    PERFORM usher.enter();
    EXECUTE 'GRANT CREATE ON SCHEMA usher TO usher_owner';
    RETURN;
  END IF;

  IF to_regrole('rds_iam') IS NULL THEN RAISE EXCEPTION 'role rds_iam not found: is this RDS?'; END IF;
  -- a name squatted before the install would be a role somebody else controls
  IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname ~ '^usher_' AND rolname !~ '^usher_keeper') THEN
    RAISE EXCEPTION 'a role named usher_* exists already; it is not adopted';
  END IF;
  WHILE EXISTS (SELECT 1 FROM pg_roles WHERE rolname = k) LOOP   -- left by an uninstall on 16+
    i := i + 1;
    k := 'usher_keeper_' || i;
  END LOOP;
  PERFORM set_config('usher.keeper', k, true);
END $$;

-- 1b. The roles.
DO $$
DECLARE
  v int := current_setting('server_version_num')::int;
  me name := current_user;
  k name := current_setting('usher.keeper');
BEGIN
  IF k = '' THEN RETURN; END IF;
  CREATE SCHEMA usher;
  REVOKE ALL ON SCHEMA usher FROM PUBLIC;

  IF v >= 160000 THEN
    CREATE ROLE usher_setup NOLOGIN CREATEROLE;
    EXECUTE format('GRANT usher_setup TO %I WITH INHERIT FALSE, SET TRUE', me);
    SET LOCAL ROLE usher_setup;
    EXECUTE format('CREATE ROLE %I NOLOGIN CREATEROLE', k);
    EXECUTE format('GRANT %I TO usher_setup WITH INHERIT FALSE, SET TRUE', k);
    EXECUTE format('SET LOCAL ROLE %I', k);
    CREATE ROLE usher_owner NOLOGIN CREATEROLE;
    EXECUTE format('GRANT usher_owner TO %I WITH INHERIT FALSE, SET TRUE', k);
  ELSE
    EXECUTE format('CREATE ROLE %I NOLOGIN', k);
    CREATE ROLE usher_owner NOLOGIN CREATEROLE;
    EXECUTE format('GRANT usher_owner TO %I WITH ADMIN OPTION', k);
    EXECUTE format('GRANT %I, usher_owner TO %I', k, me);
  END IF;

  -- made by usher_owner, not by the master: otherwise an IAM login of the broker would again drag the master into rds_iam
  SET LOCAL ROLE usher_owner;
  CREATE ROLE usher_broker NOLOGIN NOINHERIT CONNECTION LIMIT 20;
  CREATE ROLE usher_managed NOLOGIN;
  CREATE ROLE usher_parked NOLOGIN;
  EXECUTE 'GRANT usher_parked TO usher_owner' || CASE WHEN v >= 160000 THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;

  EXECUTE format('SET LOCAL ROLE %I', me);
END $$;

-- 1c. What usher_owner and the others are given.
DO $$
DECLARE
  k name := current_setting('usher.keeper');
BEGIN
  IF k = '' THEN RETURN; END IF;
  GRANT USAGE, CREATE ON SCHEMA usher TO usher_owner;
  EXECUTE format('GRANT USAGE, CREATE ON SCHEMA usher TO %I', k);
  GRANT USAGE ON SCHEMA usher TO usher_broker;
  -- ADMIN without INHERIT or SET: it may hand rds_iam on, and is not itself made richer by it
  EXECUTE 'GRANT rds_iam TO usher_owner'
    || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH ADMIN TRUE, INHERIT FALSE, SET FALSE' ELSE ' WITH ADMIN OPTION' END;
  IF to_regrole('rds_password') IS NOT NULL THEN   -- rds.restrict_password_commands=1 lets only its members set passwords
    GRANT rds_password TO usher_owner;
  END IF;
  BEGIN
    GRANT pg_read_all_stats TO usher_owner;        -- client address and TLS of sessions
  EXCEPTION WHEN insufficient_privilege THEN
    BEGIN
      GRANT pg_monitor TO usher_owner;
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING 'no pg_read_all_stats: inspect() will not show client addresses';
    END;
  END;
END $$;

-- 1d. The bridge. Frozen: nobody can replace it later, so it stays this small.
DO $$
DECLARE
  v int := current_setting('server_version_num')::int;
  me name := current_user;
  k name := current_setting('usher.keeper');
BEGIN
  IF k = '' THEN RETURN; END IF;
  EXECUTE format('SET LOCAL ROLE %I', k);
  CREATE FUNCTION usher.enter() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
  BEGIN
    EXECUTE format('GRANT usher_owner TO %I ' || CASE WHEN current_setting('server_version_num')::int >= 160000
      THEN 'WITH ADMIN TRUE, INHERIT TRUE, SET TRUE' ELSE 'WITH ADMIN OPTION' END, session_user);
  END $f$;
  CREATE FUNCTION usher.leave() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
  BEGIN
    EXECUTE format('REVOKE usher_owner FROM %I CASCADE', session_user);
  END $f$;
  REVOKE ALL ON FUNCTION usher.enter(), usher.leave() FROM PUBLIC;
  EXECUTE format('GRANT EXECUTE ON FUNCTION usher.enter(), usher.leave() TO %I', me);

  IF v >= 160000 THEN
    EXECUTE format('REVOKE usher_owner FROM %I GRANTED BY %I', k, k);   -- keeps ADMIN only
    SET LOCAL ROLE usher_setup;
    EXECUTE format('ALTER ROLE %I NOCREATEROLE', k);
    EXECUTE format('SET LOCAL ROLE %I', me);
    EXECUTE format('REVOKE CREATE ON SCHEMA usher FROM %I', k);
    DROP ROLE usher_setup;                                              -- cuts master -> keeper -> owner
  ELSE
    EXECUTE format('SET LOCAL ROLE %I', me);
    EXECUTE format('REVOKE CREATE ON SCHEMA usher FROM %I', k);
    EXECUTE format('REVOKE %I, usher_owner FROM %I', k, me);
  END IF;
  PERFORM usher.enter();                           -- until leave() at the end of this same transaction
END $$;
