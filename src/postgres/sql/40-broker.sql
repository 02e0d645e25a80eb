-- 4. What the broker may call to change something. Still SET LOCAL ROLE usher_owner.

-- Gives a login a lease, or moves the end of the one with this grant_id.
CREATE FUNCTION usher.open(login text, profile text, grant_id text, ends_at timestamptz, method text, scram_verifier text DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
  t timestamptz;
  p usher.profile;
  old usher.lease;
  u oid;
  s jsonb;
  bad text;
  fresh boolean := false;
BEGIN
  PERFORM usher._lock();
  t := clock_timestamp();                          -- not now(): the caller chooses when his transaction began
  SELECT jsonb_object_agg(x.name, x.value) INTO s FROM usher.setting x;
  IF s->>'paused' <> 'off' THEN PERFORM usher._refuse('paused', 'usher is paused by the DBA', '55000'); END IF;
  PERFORM usher._check_names(login, grant_id, s->>'login_pattern');
  SELECT * INTO p FROM usher.profile x WHERE x.name = profile AND x.enabled;
  IF p.name IS NULL THEN PERFORM usher._refuse('profile', 'profile is not on the allow-list', '42501'); END IF;
  IF method IS NULL OR method <> ALL (p.methods) THEN
    PERFORM usher._refuse('method', 'method is not allowed for this profile', '42501');
  END IF;
  PERFORM usher._check_verifier(method, scram_verifier);

  SELECT * INTO old FROM usher.lease x WHERE x.grant_id = grant_id;
  IF old.closed_at IS NOT NULL THEN PERFORM usher._refuse('grant_closed', 'grant_id was used and is closed', '55000'); END IF;
  IF old.grant_id IS NOT NULL AND (old.login, old.profile, old.method) IS DISTINCT FROM (login, profile, method) THEN
    PERFORM usher._refuse('grant_taken', 'grant_id belongs to another lease', '42501');
  END IF;
  -- counted from the first opening: prolonging does not start the clock again. The end was reckoned by the broker's clock:
  -- a minute is allowed for the difference, or a grant of exactly the maximum would fail by milliseconds
  IF ends_at IS NULL OR ends_at <= t OR ends_at > coalesce(old.opened_at, t) + make_interval(mins => p.max_minutes + 1) THEN
    PERFORM usher._refuse('ends_at', 'ends_at is not within the maximum of the profile', '42501');
  END IF;
  SELECT g || ': ' || usher._bad_group(g) INTO bad FROM unnest(p.groups) g WHERE usher._bad_group(g) IS NOT NULL LIMIT 1;
  IF bad IS NOT NULL THEN
    PERFORM usher._refuse('group', format('profile names a group that may not be given: %s', bad), '42501');
  END IF;
  IF (SELECT count(*) FROM usher.lease x WHERE x.opened_at > t - interval '1 h') >= (s->>'max_opens_per_hour')::int
     OR (SELECT count(*) FROM usher.lease x WHERE x.closed_at IS NULL) >= (s->>'max_live_leases')::int THEN
    PERFORM usher._refuse('quota', 'too many leases', '54000');
  END IF;

  SELECT oid INTO u FROM pg_roles WHERE rolname = login;
  fresh := u IS NULL;
  IF fresh THEN
    IF (SELECT count(*) FROM usher.login) >= (s->>'max_logins')::int THEN
      PERFORM usher._refuse('quota', 'too many logins', '54000');
    END IF;
    EXECUTE format('CREATE ROLE %I NOLOGIN', login);
    EXECUTE format('GRANT usher_managed TO %I', login);
    SELECT oid INTO u FROM pg_roles WHERE rolname = login;
    INSERT INTO usher.login (role, name) VALUES (u, login);
  ELSE
    PERFORM usher._check_login(u, login, grant_id, method, (s->>'max_live_per_login')::int);
  END IF;
  -- role too: where somebody dropped the role by hand, the same lease now belongs to the one made just above
  INSERT INTO usher.lease AS x (grant_id, role, login, profile, method, opened_at, ends_at)
    VALUES (grant_id, u, login, profile, method, t, ends_at)
    ON CONFLICT ON CONSTRAINT lease_pkey DO UPDATE SET ends_at = excluded.ends_at, role = excluded.role;
  -- a trail outside the broker
  RAISE LOG 'usher open login=% profile=% grant=% ends_at=% method=% by=%', login, profile, grant_id, ends_at, method, session_user;
  RETURN usher._sync(u, scram_verifier) || jsonb_build_object('created', fresh);
END $$;

-- text, not name: a cast to name would cut 64+ bytes silently and two people would meet in one role.
CREATE FUNCTION usher._check_names(login text, grant_id text, pattern text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF login IS NULL OR octet_length(login) > 63 OR login !~ '^[a-z_][a-z0-9_]{0,62}$' OR login !~ pattern
     OR login ~ '^(pg_|rds|usher|aws|postgres$|master$|admin$|public$|none$|user$|current_|session_)' THEN
    PERFORM usher._refuse('login_name', 'unacceptable login name', '22023');
  END IF;
  IF grant_id IS NULL OR grant_id !~ '^[A-Za-z0-9_.:-]{8,64}$' THEN
    PERFORM usher._refuse('grant_id', 'unacceptable grant_id', '22023');
  END IF;
END $$;

-- Anything PostgreSQL does not recognise as a verifier it would take as a clear-text password.
CREATE FUNCTION usher._check_verifier(method text, verifier text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF (method = 'password') <> (verifier IS NOT NULL) THEN
    PERFORM usher._refuse('verifier', 'a verifier goes with method password, and only with it', '22023');
  END IF;
  IF verifier !~ '^SCRAM-SHA-256[$][1-9][0-9]{3,5}:[A-Za-z0-9+/]{20,86}={0,2}[$][A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$'
     OR split_part(split_part(verifier, '$', 2), ':', 1)::int < 4096 THEN
    PERFORM usher._refuse('verifier', 'not a SCRAM-SHA-256 verifier', '22023');
  END IF;
END $$;

-- A role that exists: is it ours, harmless, and free for this lease?
CREATE FUNCTION usher._check_login(u oid, login text, grant_id text, method text, max_live int) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  l usher.login;
  bad text;
  r record;
BEGIN
  SELECT x.* INTO l FROM usher.login x WHERE x.role = u;
  IF l.role IS NULL THEN
    PERFORM usher._refuse('not_managed', format('role %s exists and is not managed by usher', quote_ident(login)), '42501');
  END IF;
  IF l.retired_at IS NOT NULL THEN PERFORM usher._refuse('retired', 'login is retired', '42501'); END IF;
  IF EXISTS (SELECT 1 FROM pg_roles x WHERE x.oid = u
              AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)) THEN
    PERFORM usher._refuse('attributes', 'login has role attributes', '42501');
  END IF;
  -- a member would gain these rights, and would itself become an IAM user
  IF EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = u AND m.member <> 'usher_owner'::regrole) THEN
    PERFORM usher._sync(u);
  END IF;
  SELECT m.member::regrole::text INTO bad FROM pg_auth_members m WHERE m.roleid = u AND m.member <> 'usher_owner'::regrole LIMIT 1;
  IF bad IS NOT NULL THEN PERFORM usher._refuse('member', format('login has a member: %s', bad), '42501'); END IF;
  -- on RDS rds_iam shuts the password out
  IF EXISTS (SELECT 1 FROM usher.lease x WHERE x.role = u AND x.closed_at IS NULL AND x.method <> method) THEN
    PERFORM usher._refuse('other_method', 'login has a live lease by the other method', '55000');
  END IF;
  IF (SELECT count(*) FROM usher.lease x WHERE x.role = u AND x.closed_at IS NULL AND x.grant_id <> grant_id) >= max_live THEN
    PERFORM usher._refuse('quota', 'too many live leases for this login', '54000');
  END IF;
  -- any user may set his own settings and keep them for next time
  IF NOT EXISTS (SELECT 1 FROM usher.lease x WHERE x.role = u AND x.closed_at IS NULL) THEN
    FOR r IN SELECT d.datname FROM pg_db_role_setting c LEFT JOIN pg_database d ON d.oid = c.setdatabase WHERE c.setrole = u LOOP
      EXECUTE format('ALTER ROLE %I %s RESET ALL', login, coalesce(format('IN DATABASE %I', r.datname), ''));
    END LOOP;
  END IF;
END $$;

-- Ends one lease. By the lease's own row: it also works where somebody renamed or dropped the role meanwhile.
-- A lease that was never opened leaves a closed row behind all the same: an opening that a crashed broker sent may still be
-- on its way, and finds that its grant is over. Where the quota is used up no opening can succeed, and no row is needed.
CREATE FUNCTION usher.close(login text, grant_id text, why text DEFAULT 'closed') RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
  u oid;
  t timestamptz;
BEGIN
  PERFORM usher._lock();
  t := clock_timestamp();
  SELECT x.role INTO u FROM usher.lease x WHERE x.grant_id = grant_id AND x.login = login;
  IF u IS NULL THEN
    PERFORM usher._check_names(login, grant_id, '');
    IF EXISTS (SELECT 1 FROM usher.lease x WHERE x.grant_id = grant_id) OR (SELECT count(*) FROM usher.lease x WHERE x.opened_at > t - interval '1 h')
         >= (SELECT value::int FROM usher.setting WHERE name = 'max_opens_per_hour') THEN
      PERFORM usher._refuse('no_such_lease', 'no such lease', '42704');
    END IF;
    SELECT l.role INTO u FROM usher.login l JOIN pg_roles r ON r.oid = l.role WHERE r.rolname = login;
    INSERT INTO usher.lease (grant_id, role, login, profile, method, opened_at, ends_at, closed_at, closed_why)
      VALUES (grant_id, coalesce(u, 0), login, '', '', t, t, t, 'never opened');
    RAISE LOG 'usher close login=% grant=% by=% (never opened)', login, grant_id, session_user;
    RETURN CASE WHEN u IS NULL THEN jsonb_build_object('live', 0) ELSE usher._sync(u) END || jsonb_build_object('known', false);
  END IF;
  UPDATE usher.lease x SET closed_at = clock_timestamp(), closed_why = left(why, 200)
   WHERE x.grant_id = grant_id AND x.closed_at IS NULL;
  RAISE LOG 'usher close login=% grant=% by=%', login, grant_id, session_user;
  RETURN usher._sync(u);                           -- also when it was closed already: repairs
END $$;

-- Ends the sessions of one login. Call it after close is committed: before that they could log in again behind it.
CREATE FUNCTION usher.terminate(login text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  u := usher._managed(login);
  RAISE LOG 'usher terminate login=% by=%', login, session_user;
  RETURN usher._kill(u);
END $$;

-- Sessions on a reader: only a command there ends them, and no membership can be borrowed there. So it is borrowed on the
-- writer, reaches the reader by replication, and is given back: reach(login, true), end_here(login) there, reach(login, false).
CREATE FUNCTION usher.reach(login text, on_ boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
  held boolean;
BEGIN
  PERFORM usher._lock();
  u := usher._managed(login);
  held := EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = u AND m.member = 'usher_owner'::regrole
    AND (NOT usher._since16() OR (m.grantor = 'usher_owner'::regrole)));
  IF on_ AND NOT held THEN PERFORM usher._borrow(login::name, false); END IF;
  IF NOT on_ AND held THEN PERFORM usher._give_back(login::name); END IF;
END $$;

-- Ends the sessions of one login on the instance that is asked, also a reader; 42501 until the membership is there.
CREATE FUNCTION usher.end_here(login text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
  p int;
  n int := 0;
  till timestamptz := clock_timestamp() + interval '2 s';
BEGIN
  u := usher._managed(login);
  RAISE LOG 'usher end_here login=% by=%', login, session_user;
  FOR p IN SELECT pid FROM pg_stat_activity WHERE usesysid = u AND pid <> pg_backend_pid() LOOP
    IF pg_terminate_backend(p) THEN n := n + 1; END IF;
  END LOOP;
  LOOP
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN clock_timestamp() > till OR NOT usher._has_backend(u, NULL);
    PERFORM pg_sleep(0.005);
  END LOOP;
  RETURN n;
END $$;

-- Step 1 of a sweep, at most 50 logins a call: with thousands of logins a close costs tens of ms on 16+ and the lock must
-- not be held longer than the lock_timeout of the others.
CREATE FUNCTION usher.sweep_close(skip oid[] DEFAULT '{}') RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
  k int := 0;
  n int := 0;
  bad text[] := '{}';
BEGIN
  skip := coalesce(skip, '{}');
  PERFORM usher._lock_hard();
  FOR u IN SELECT DISTINCT l.role FROM usher.lease l LEFT JOIN usher.profile p ON p.name = l.profile
            WHERE l.closed_at IS NULL AND (l.ends_at <= clock_timestamp() OR p.enabled IS NOT TRUE) AND l.role <> ALL (skip)
            ORDER BY 1 LIMIT 50 LOOP
    BEGIN                                          -- one stuck login does not keep the others open
      UPDATE usher.lease l SET closed_at = clock_timestamp(), closed_why = 'swept'
       WHERE l.role = u AND l.closed_at IS NULL AND (l.ends_at <= clock_timestamp()
         OR NOT EXISTS (SELECT 1 FROM usher.profile p WHERE p.name = l.profile AND p.enabled));
      PERFORM usher._sync(u);
      n := n + 1;
    EXCEPTION WHEN OTHERS THEN
      bad := bad || format('%s: %s', u::regrole, SQLERRM);
      skip := skip || u;
    END;
    k := k + 1;
  END LOOP;
  -- logins that can log in although no lease says so (a DBA or a restore did it), or that somebody became a member of
  FOR u IN SELECT r.oid FROM usher.login l JOIN pg_roles r ON r.oid = l.role WHERE l.retired_at IS NULL AND
     (r.rolcanlogin AND NOT EXISTS (SELECT 1 FROM usher.lease x WHERE x.role = r.oid AND x.closed_at IS NULL)
      OR EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member <> 'usher_owner'::regrole)) LOOP
    BEGIN
      PERFORM usher._sync(u);
      n := n + 1;
    EXCEPTION WHEN OTHERS THEN
      bad := bad || format('%s: %s', u::regrole, SQLERRM);
    END;
  END LOOP;
  DELETE FROM usher.lease WHERE closed_at
    < clock_timestamp() - make_interval(days => (SELECT value::int FROM usher.setting WHERE name = 'history_days'));
  IF n > 0 OR bad <> '{}' THEN RAISE LOG 'usher sweep logins=% failed=%', n, bad; END IF;
  RETURN jsonb_build_object('logins', n, 'failed', bad, 'skip', to_jsonb(skip), 'more', k = 50);
END $$;

-- Step 2, in a later transaction: only when NOLOGIN is committed can nobody slip in behind the kill.
CREATE FUNCTION usher.sweep_kill() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
  n int := 0;
BEGIN
  PERFORM usher._lock_hard();
  FOR u IN SELECT DISTINCT a.usesysid FROM pg_stat_activity a JOIN usher.login l ON l.role = a.usesysid
            WHERE NOT EXISTS (SELECT 1 FROM usher.lease x WHERE x.role = a.usesysid AND x.closed_at IS NULL) LOOP
    BEGIN                                          -- one that cannot be ended does not save the others
      n := n + usher._kill(u);
    EXCEPTION WHEN OTHERS THEN
      RAISE LOG 'usher sweep could not end the sessions of %: %', u::regrole, SQLERRM;
    END;
  END LOOP;
  RETURN n;
END $$;

-- INVOKER and without SET, or COMMIT would be refused; therefore no operators and only qualified names.
CREATE PROCEDURE usher.sweep() LANGUAGE plpgsql AS $$
DECLARE
  j pg_catalog.jsonb;
  skip pg_catalog.oid[];
  more boolean;
BEGIN
  FOR i IN 1..400 LOOP
    j := usher.sweep_close(skip);
    COMMIT;                                        -- each batch takes effect on its own
    skip := usher._skip(j);
    more := usher._more(j);
    EXIT WHEN more IS NOT TRUE;
  END LOOP;
  PERFORM usher.sweep_kill();
END $$;
