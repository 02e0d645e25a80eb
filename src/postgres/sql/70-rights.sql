-- 7. Who may execute what, and the pinned settings. Ends by giving the borrowed membership back and checking that it is gone.
DO $$
DECLARE
  for_broker CONSTANT text[] := '{open,set_password,close,terminate,repair,reach,end_here,inspect,survey,activity,sessions,profiles,
    hello,owned,version,sweep,sweep_close,sweep_kill,sweep_done,_more,_skip}';
  for_dba CONSTANT text[] := '{_bad_group,_more,_skip}';   -- beside every name without a leading underscore
  f record;
BEGIN
  FOR f IN SELECT p.oid::regprocedure AS sig, p.proname::text AS nm, p.prosecdef, p.proowner::regrole::text AS own FROM pg_proc p
            WHERE p.pronamespace = 'usher'::regnamespace AND p.proname NOT IN ('enter', 'leave') LOOP
    IF f.own = 'usher_owner' THEN SET LOCAL ROLE usher_owner; END IF;
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', f.sig);
    IF f.nm = ANY (for_broker) THEN EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO usher_broker', f.sig); END IF;
    IF f.own = 'usher_owner' AND (f.nm !~ '^_' OR f.nm = ANY (for_dba)) THEN
      EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', f.sig, session_user);
    END IF;
    IF f.prosecdef THEN
      -- the caller chooses these in his session and they would change what the function does: e.g. DateStyle 'SQL, DMY' with
      -- TimeZone Asia/Kolkata writes 'IST', which is read back as another zone, and VALID UNTIL moves by hours
      EXECUTE format('ALTER ROUTINE %s SET search_path = pg_catalog, pg_temp SET datestyle = ''ISO, YMD'' SET timezone = ''UTC''
        SET standard_conforming_strings = on SET lock_timeout = ''10s''', f.sig);
      -- not for safety: what is asked here is small, and planning it anew for the values of each call costs more than asking it
      EXECUTE format('ALTER ROUTINE %s SET plan_cache_mode = force_generic_plan', f.sig);
      IF current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE format('ALTER ROUTINE %s SET createrole_self_grant = ''''', f.sig);
      END IF;
    END IF;
    RESET ROLE;
  END LOOP;

  SET LOCAL ROLE usher_owner;
  EXECUTE format('GRANT SELECT ON usher.login, usher.lease, usher.standing, usher.opened, usher.swept, usher.installed TO %I', session_user);
  RESET ROLE;
  REVOKE CREATE ON SCHEMA usher FROM usher_owner;
  PERFORM usher.leave();
  -- the point of the keeper: refuse to finish if the installer would now be taken for an IAM user
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AND pg_has_role(session_user, 'usher_owner', 'MEMBER') THEN
    RAISE EXCEPTION 'the installer is still a member of usher_owner (and so of rds_iam): nothing installed';
  END IF;
END $$;
