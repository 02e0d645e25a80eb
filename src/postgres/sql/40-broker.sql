-- 4. What the broker may call to open and to close. Still SET LOCAL ROLE usher_owner.

-- Gives a login a lease, or moves the end of the one with this grant_id. groups, connection_limit and creates_roles are what the
-- approver was shown: where the allow-list says otherwise by now, nothing is opened. Method password gets its password by set_password().
CREATE FUNCTION usher.open(login text, person text, profile text, groups text[], connection_limit int, grant_id text,
  ends_at timestamptz, method text, creates_roles boolean DEFAULT false)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
  t timestamptz;
  k record;
  s jsonb;
  l usher.login;
  old usher.lease;
  p usher.profile;
  u oid;
  fresh boolean;
BEGIN
  PERFORM usher._lock();
  t := clock_timestamp();                          -- not now(): the caller chooses when his transaction began
  -- one query, as each costs more than what it asks. odd: what _check_role() has to go through
  SELECT w AS login, x AS lease, y AS profile, r.oid AS role, (SELECT jsonb_object_agg(name, value) FROM usher.setting) AS settings,
         (SELECT count(*)::int FROM usher.lease z WHERE z.role = w.role AND z.closed_at IS NULL) AS live,
         r.rolsuper OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
           OR EXISTS (SELECT 1 FROM pg_db_role_setting c WHERE c.setrole = r.oid)
           OR EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member <> 'usher_owner'::regrole) AS odd
    INTO k FROM (SELECT) AS nothing LEFT JOIN usher.login w ON w.name = login LEFT JOIN pg_roles r ON r.oid = w.role AND w.dropped_at IS NULL
    LEFT JOIN usher.lease x ON x.grant_id = grant_id LEFT JOIN usher.profile y ON y.name = profile AND y.enabled;
  s := k.settings;
  l := k.login;
  old := k.lease;
  p := k.profile;
  u := k.role;
  fresh := u IS NULL;
  IF old.grant_id IS NULL THEN
    PERFORM usher._check_names(login, grant_id, method, s);
    PERFORM usher._check_profile(p, method, s);
    PERFORM usher._check_plan(groups, connection_limit, creates_roles, p.groups, p.connection_limit, p.creates_roles);
  ELSE
    PERFORM usher._check_same(old, login, profile, method);
    -- the promise is the one of the opening: a list that has changed since may take from it, and does not stop a shortening
    PERFORM usher._check_plan(groups, connection_limit, creates_roles, old.groups, old.connection_limit, old.creates_roles);
    IF ends_at > old.ends_at OR fresh THEN PERFORM usher._check_profile(p, method, s); END IF;
  END IF;
  -- counted from the first opening: prolonging does not start the clock again. The end was reckoned by the broker's clock:
  -- a minute is allowed for the difference, or a grant of exactly the maximum would fail by milliseconds
  IF ends_at IS NULL OR ends_at <= t OR (old.ends_at IS NULL OR ends_at > old.ends_at)
      AND ends_at > coalesce(old.opened_at, t) + make_interval(mins => p.max_minutes + 1) THEN
    PERFORM usher._refuse('ends_at', 'ends_at is not within the maximum of the profile', '42501');
  END IF;
  PERFORM usher._check_login(l, login, person, method, k.live, k.odd);
  IF old.grant_id IS NULL THEN
    IF k.live >= (s->>'max_live_per_login')::int THEN PERFORM usher._refuse('quota', 'too many live leases for this login', '54000'); END IF;
    PERFORM usher._count_opening(l.name IS NULL OR l.dropped_at IS NOT NULL, t, s);
  END IF;

  u := coalesce(u, usher._make(login, person, method));
  INSERT INTO usher.lease AS x (grant_id, role, login, profile, method, opened_at, ends_at, groups, connection_limit, creates_roles)
    VALUES (grant_id, u, login, profile, method, t, ends_at, groups, connection_limit, creates_roles)
    ON CONFLICT ON CONSTRAINT lease_pkey DO UPDATE SET ends_at = excluded.ends_at;
  -- a trail outside the broker
  RAISE LOG 'usher open login=% person=% profile=% grant=% ends_at=% method=% by=%', login, person, profile, grant_id, ends_at, method, session_user;
  RETURN usher._sync(u) || jsonb_build_object('created', fresh);
END $$;

-- text, not name: a cast to name would cut 64+ bytes silently and two people would meet in one role. A login by password is told
-- by its name: on RDS rds_iam shuts the password out, so nobody can use one login both ways.
CREATE FUNCTION usher._check_names(login text, grant_id text, method text, s jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF login IS NULL OR octet_length(login) > 63 OR login !~ '^[a-z_][a-z0-9_]*$'
     OR login ~ '^(pg_|rds|usher|aws|postgres$|master$|admin$|public$|none$|user$|current_|session_)'
     OR method <> '' AND login !~ (s->>'login_pattern')
     OR method IN ('iam', 'password') AND (method = 'password') <> (login ~ '_pw$') THEN
    PERFORM usher._refuse('login_name', 'unacceptable login name', '22023');
  END IF;
  IF grant_id IS NULL OR octet_length(grant_id) NOT BETWEEN 8 AND 64 OR grant_id !~ '^[A-Za-z0-9_.:-]+$' THEN
    PERFORM usher._refuse('grant_id', 'unacceptable grant_id', '22023');
  END IF;
END $$;

-- May this profile be given now?
CREATE FUNCTION usher._check_profile(p usher.profile, method text, s jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  g text;
  bad text;
BEGIN
  IF s->>'paused' <> 'off' THEN
    PERFORM usher._refuse('paused', 'usher is paused by the DBA', '55000');
  END IF;
  IF p.name IS NULL THEN PERFORM usher._refuse('profile', 'profile is not on the allow-list', '42501'); END IF;
  IF method IS NULL OR method <> ALL (p.methods) THEN
    PERFORM usher._refuse('method', 'method is not allowed for this profile', '42501');
  END IF;
  FOREACH g IN ARRAY p.groups LOOP
    bad := usher._bad_group(g, p.manages_passwords);
    IF bad IS NOT NULL THEN PERFORM usher._refuse('group', format('profile names a group that may not be given: %s: %s', g, bad), '42501'); END IF;
  END LOOP;
  IF NOT usher._may_set_passwords() THEN
    PERFORM usher._refuse('rds_password', 'rds.restrict_password_commands is on: GRANT rds_password TO usher_owner', '42501');
  END IF;
END $$;

-- The plan is a promise: what the approver was shown is what is given.
CREATE FUNCTION usher._check_plan(groups text[], connection_limit int, creates_roles boolean, real_groups text[], real_limit int,
  real_creates boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF groups IS NULL OR cardinality(groups) <> cardinality(real_groups) OR NOT (groups @> real_groups AND groups <@ real_groups)
     OR connection_limit IS DISTINCT FROM real_limit
     OR creates_roles IS DISTINCT FROM real_creates THEN
    PERFORM usher._refuse('plan', format('the plan says groups {%s}, %s connections%s; the target has {%s}, %s%s',
      left(array_to_string(groups[:100], ','), 500), connection_limit, CASE WHEN creates_roles THEN ', CREATEROLE' ELSE '' END,
      array_to_string(real_groups, ','), real_limit, CASE WHEN real_creates THEN ', CREATEROLE' ELSE '' END), '55000');
  END IF;
END $$;

CREATE FUNCTION usher._check_same(old usher.lease, login text, profile text, method text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF old.closed_at IS NOT NULL THEN PERFORM usher._refuse('grant_closed', 'grant_id was used and is closed', '55000'); END IF;
  IF (old.login, old.profile, old.method) IS DISTINCT FROM (login, profile, method) THEN
    PERFORM usher._refuse('grant_taken', 'grant_id belongs to another lease', '42501');
  END IF;
END $$;

-- The name: is it free, or this person's, harmless, and used by this method?
CREATE FUNCTION usher._check_login(l usher.login, login text, person text, method text, live int, odd boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  u oid := to_regrole(quote_ident(login))::oid;    -- its length is checked
BEGIN
  IF person IS NULL OR octet_length(person) NOT BETWEEN 8 AND 64 OR person !~ '^[A-Za-z0-9_.:-]+$' OR person <> l.person THEN
    PERFORM usher._refuse('person', 'the login belongs to another person, for ever', '42501');
  END IF;
  IF l.retired_at IS NOT NULL THEN PERFORM usher._refuse('retired', 'login is retired', '42501'); END IF;
  IF l.method <> method THEN
    PERFORM usher._refuse('other_method', format('login was opened with method %s, and has no other', l.method), '55000');
  END IF;
  IF u IS NOT NULL AND (l.role IS DISTINCT FROM u OR l.dropped_at IS NOT NULL) THEN
    PERFORM usher._refuse('not_managed', format('role %s exists and is not managed by usher', quote_ident(login)), '42501');
  END IF;
  IF l.role IS NULL THEN RETURN; END IF;
  IF u IS NULL AND l.dropped_at IS NULL THEN       -- renamed, or dropped by hand
    PERFORM usher._sync(l.role);
    u := to_regrole(quote_ident(login))::oid;
    odd := true;
  END IF;
  IF l.person IS NULL OR l.method IS NULL THEN
    UPDATE usher.login x SET person = _check_login.person, method = _check_login.method WHERE x.name = login;
  END IF;
  IF u IS NOT NULL AND (odd OR live = 0 AND method = 'password') THEN PERFORM usher._check_role(u, login, method, live); END IF;
END $$;

-- A role that is ours: what did it pick up while it had no lease?
CREATE FUNCTION usher._check_role(u oid, login text, method text, live int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  IF live = 0 THEN
    -- any user may set his own password and settings and keep them for next time
    IF method = 'password' THEN PERFORM usher._insist(u, format('ALTER ROLE %I PASSWORD NULL', login)); END IF;
    FOR r IN SELECT d.datname FROM pg_db_role_setting c LEFT JOIN pg_database d ON d.oid = c.setdatabase WHERE c.setrole = u LOOP
      PERFORM usher._insist(u, format('ALTER ROLE %I %s RESET ALL', login, 'IN DATABASE ' || quote_ident(r.datname)));   -- no database: for all
    END LOOP;
  END IF;
  IF EXISTS (SELECT 1 FROM pg_roles x WHERE x.oid = u AND (rolsuper OR rolcreatedb OR rolreplication OR rolbypassrls)) THEN
    PERFORM usher._refuse('attributes', 'login has role attributes', '42501');
  END IF;
  -- a member would gain these rights, and would itself become an IAM user
  IF EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = u AND m.member <> 'usher_owner'::regrole) THEN
    PERFORM usher._sync(u);
    FOR r IN SELECT m.member::regrole AS bad FROM pg_auth_members m WHERE m.roleid = u AND m.member <> 'usher_owner'::regrole LOOP
      PERFORM usher._refuse('member', format('login has a member: %s', r.bad), '42501');
    END LOOP;
  END IF;
END $$;

-- Quotas bound what a thief of the broker's login can fill up, and are asked for new leases only: an end can always be moved, and
-- closing never asks. By minutes, so that a long history costs nothing.
CREATE FUNCTION usher._count_opening(fresh boolean, t timestamptz, s jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT sum(n) FROM usher.opened WHERE minute > t - interval '1 h') >= (s->>'max_opens_per_hour')::int
     OR EXISTS (SELECT 1 FROM usher.lease x WHERE x.closed_at IS NULL OFFSET (s->>'max_live_leases')::int - 1) THEN
    PERFORM usher._refuse('quota', 'too many leases', '54000');
  END IF;
  IF fresh THEN
    IF (SELECT count(*) FROM usher.login x WHERE x.dropped_at IS NULL) >= (s->>'max_logins')::int THEN
      PERFORM usher._refuse('quota', 'too many logins', '54000');
    END IF;
  END IF;
  INSERT INTO usher.opened AS o VALUES (date_trunc('minute', t), 1) ON CONFLICT (minute) DO UPDATE SET n = o.n + 1;
END $$;

-- A new role, for a new name or for one whose role was dropped: its live leases follow.
CREATE FUNCTION usher._make(login text, person text, method text) RETURNS oid LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  u oid;
BEGIN
  EXECUTE format('CREATE ROLE %I NOLOGIN IN ROLE usher_managed', login);
  SELECT oid INTO u FROM pg_roles WHERE rolname = login;
  INSERT INTO usher.login (role, name, person, method) VALUES (u, login, person, method)
    ON CONFLICT ON CONSTRAINT login_pkey DO UPDATE SET role = u, dropped_at = NULL, lost_at = NULL;
  UPDATE usher.lease x SET role = u WHERE x.login = login AND x.closed_at IS NULL;
  RETURN u;
END $$;

-- The password of a login by password: set, or replaced. It ends with the last of its leases (VALID UNTIL), and is taken off then.
CREATE FUNCTION usher.set_password(login text, grant_id text, scram_verifier text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
  s usher.standing;
  u oid;
  reason text;
  by_ text;
BEGIN
  PERFORM usher._lock();
  IF (SELECT value FROM usher.setting WHERE name = 'paused') <> 'off' THEN
    PERFORM usher._refuse('paused', 'usher is paused by the DBA', '55000');
  END IF;
  u := usher._managed(login);
  SELECT x.* INTO s FROM usher.standing x WHERE x.grant_id = grant_id AND x.role = u;
  IF s.grant_id IS NULL THEN PERFORM usher._refuse('no_such_lease', 'no such live lease', '42704'); END IF;
  IF s.method <> 'password' THEN PERFORM usher._refuse('method', 'the lease is not by password', '42501'); END IF;
  PERFORM usher._check_verifier(scram_verifier, (SELECT value = 'on' FROM usher.setting WHERE name = 'accept_md5'));
  IF NOT usher._may_set_passwords() THEN
    PERFORM usher._refuse('rds_password', 'rds.restrict_password_commands is on: GRANT rds_password TO usher_owner', '42501');
  END IF;
  PERFORM usher._sync(u);                          -- VALID UNTIL first
  BEGIN
    PERFORM usher._insist(u, format('ALTER ROLE %I PASSWORD %L', login, scram_verifier));
  EXCEPTION WHEN OTHERS THEN                       -- said again without its context, which would put the verifier into the log
    GET STACKED DIAGNOSTICS reason = CONSTRAINT_NAME, by_ = SCHEMA_NAME;
    RAISE EXCEPTION USING MESSAGE = SQLERRM, ERRCODE = SQLSTATE, SCHEMA = by_, CONSTRAINT = reason;
  END;
  RAISE LOG 'usher set_password login=% grant=% by=%', login, grant_id, session_user;
END $$;

-- Anything PostgreSQL does not recognise as a verifier it would take as a clear-text password.
CREATE FUNCTION usher._check_verifier(verifier text, md5_too boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF verifier ~ '^md5[0-9a-f]{32}$' AND md5_too THEN RETURN; END IF;
  IF verifier IS NULL
     OR verifier !~ '^SCRAM-SHA-256[$][1-9][0-9]{3,5}:[A-Za-z0-9+/]{20,86}={0,2}[$][A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$'
     OR split_part(split_part(verifier, '$', 2), ':', 1)::int < 4096 THEN
    PERFORM usher._refuse('verifier', 'not a SCRAM-SHA-256 verifier of 4096 or more iterations', '22023');
  END IF;
END $$;
