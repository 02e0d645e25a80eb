-- 6b. Custody: what a person made is never destroyed, and never handed to a richer role, because a SECURITY DEFINER function or a
-- trigger planted by the person would then run with its rights. It goes to usher_parked, which can do nothing. For the DBA;
-- the broker may ask owned() alone.
SET LOCAL ROLE usher_owner;

-- What a login owns or is named in, per database. Names only for this database: the others cannot be read from here.
CREATE FUNCTION usher.owned(login text)
RETURNS TABLE (database text, kind text, owned boolean, n bigint, objects text[])
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT coalesce(d.datname::text, '(shared)'), s.classid::regclass::text, s.deptype = 'o', count(*),
         (array_agg(pg_describe_object(s.classid, s.objid, s.objsubid)) FILTER (WHERE d.datname = current_database()))[1:50]
    FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
   WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = usher._managed(login)
     AND s.classid <> 'pg_auth_members'::regclass
   GROUP BY 1, 2, 3 ORDER BY 1, 2
$$;

-- DROP OWNED destroys whatever is still owned. It runs only behind a REASSIGN that left nothing, while nobody can make
-- anything new in this name: no session, no member, no prepared transaction, no way to log in.
CREATE FUNCTION usher._assert_still(u oid, login text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  bad text;
BEGIN
  IF EXISTS (SELECT 1 FROM usher.lease x WHERE x.role = u AND x.closed_at IS NULL) THEN
    PERFORM usher._refuse('live_lease', 'it has a live lease: end the grant, or where its time is over CALL usher.sweep()', '55006');
  END IF;
  -- shutting the door here would not be committed before the parking: somebody could still come in behind the look
  IF (SELECT rolcanlogin FROM pg_roles WHERE oid = u) THEN
    PERFORM usher._refuse('can_login', 'the login can log in without a lease: CALL usher.sweep() first', '55006');
  END IF;
  PERFORM usher._sync(u);
  SELECT pg_get_userbyid(m.member) INTO bad FROM pg_auth_members m
   WHERE m.roleid = u AND pg_get_userbyid(m.member) NOT IN ('usher_owner', session_user) LIMIT 1;
  IF bad IS NOT NULL THEN
    PERFORM usher._refuse('member', format('%s is a member of it: REVOKE %I FROM %I', bad, login, bad), '55006');
  END IF;
  IF EXISTS (SELECT 1 FROM pg_prepared_xacts x WHERE x.owner = login) THEN
    PERFORM usher._refuse('prepared', 'it has a prepared transaction: see pg_prepared_xacts', '55006');
  END IF;
  PERFORM usher._kill(u);
  IF usher._has_backend(u, NULL) THEN PERFORM usher._refuse('sessions', 'it has a session that does not end', '55006'); END IF;
END $$;

-- Parks what a login owns in this database and takes its grants, or changes nothing and answers why not.
CREATE FUNCTION usher._park(u oid, login text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  -- a schema first: the new owner of a function must be able to create where it stands
  FOR r IN SELECT nspname FROM pg_namespace WHERE nspowner = u LOOP
    EXECUTE format('ALTER SCHEMA %I OWNER TO usher_parked', r.nspname);
  END LOOP;
  EXECUTE format('REASSIGN OWNED BY %I TO usher_parked', login);
  -- default privileges and user mappings have no owner but the person: they go with the grants
  IF EXISTS (SELECT 1 FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = u AND s.deptype = 'o'
      AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND s.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass, 'pg_auth_members'::regclass)) THEN
    RAISE EXCEPTION 'something is still owned';
  END IF;
  EXECUTE format('DROP OWNED BY %I', login);
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLERRM;
END $$;

-- Takes a person out for good: the name is never opened again. What it owns in this database is parked; the answer is what
-- is left, here (a WARNING says why) and in the other databases of the cluster. `npm run usher -- target-retire` does those.
CREATE FUNCTION usher.retire(login text)
RETURNS TABLE (database text, kind text, owned boolean, n bigint, objects text[]) LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
  u oid;
  why text;
BEGIN
  PERFORM usher._lock();
  u := usher._managed(login);
  PERFORM usher._assert_still(u, login);
  UPDATE usher.login x SET retired_at = coalesce(x.retired_at, clock_timestamp())
   WHERE x.role = u AND x.dropped_at IS NULL;
  RAISE LOG 'usher retire login=% by=%', login, session_user;
  PERFORM usher._borrow(login::name);
  why := usher._park(u, login);
  PERFORM usher._give_back(login::name);
  IF why IS NOT NULL THEN RAISE WARNING 'not parked in %: %', current_database(), why; END IF;
  RETURN QUERY SELECT * FROM usher.owned(login);
END $$;

-- Lets the DBA act for a retired login in other databases, where this schema is not: lend(login), then in each of them
-- REASSIGN OWNED BY <login> TO usher_parked; DROP OWNED BY <login>; then lend(login, false), always.
CREATE FUNCTION usher.lend(login text, on_ boolean DEFAULT true) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  IF NOT on_ THEN
    -- also where the login was dropped meanwhile: nobody is to stay a member of usher_parked
    EXECUTE format('REVOKE usher_parked FROM %I', session_user);
    IF EXISTS (SELECT 1 FROM usher.login x JOIN pg_roles r ON r.oid = x.role WHERE r.rolname = login AND x.dropped_at IS NULL) THEN
      EXECUTE format('REVOKE %I FROM %I', login, session_user);
    END IF;
    RETURN;
  END IF;
  u := usher._managed(login);
  PERFORM usher._assert_still(u, login);
  IF NOT EXISTS (SELECT 1 FROM usher.login x WHERE x.role = u AND x.dropped_at IS NULL AND x.retired_at IS NOT NULL) THEN
    PERFORM usher._refuse('not_retired', 'retire it first', '55006');
  END IF;
  -- pg_hba's "+rds_iam" counts every path: the DBA would be shut out of the password login for as long as this lasts
  IF pg_has_role(u, to_regrole('rds_iam'), 'MEMBER') THEN
    PERFORM usher._refuse('in_rds_iam', format('it is still in rds_iam, and its members would be too: REVOKE rds_iam FROM %I', login), '55006');
  END IF;
  EXECUTE format('GRANT %I, usher_parked TO %I', login, session_user)
    || CASE WHEN usher._since16() THEN ' WITH INHERIT TRUE, SET TRUE' ELSE '' END;
END $$;

-- The role goes; its row stays as a tombstone, so that the name never becomes another person's.
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
  UPDATE usher.login x SET dropped_at = clock_timestamp() WHERE x.role = u AND x.dropped_at IS NULL;
  RAISE LOG 'usher drop login=% by=%', login, session_user;
END $$;

RESET ROLE;
