-- 3c. What a login role is, and how it becomes what its leases say. Still SET LOCAL ROLE usher_owner.

-- Changes one role. A user may hold rows of his own (BEGIN; ALTER ROLE me PASSWORD ...) to stall us, and with us all who wait for
-- the lock: his sessions go first then. A DBA may hold them, too, and is not waited for long; nor is a session that does not end,
-- as inside a built-in function that looks at no interrupt: others wait for us meanwhile.
CREATE FUNCTION usher._insist(u oid, command text, tries int DEFAULT 6) RETURNS void LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
  till timestamptz := clock_timestamp() + interval '3 s';
BEGIN
  FOR i IN 1..tries LOOP
    EXIT WHEN clock_timestamp() > till;
    BEGIN
      EXECUTE command;
      RETURN;
    EXCEPTION WHEN lock_not_available OR internal_error THEN
      IF u IS NOT NULL THEN PERFORM usher._kill(u); END IF;
    END;
  END LOOP;
  PERFORM usher._refuse('role_locked', format('cannot change %s: a role or membership stays locked', coalesce(u::regrole::text, 'roles')), '55P03');
END $$;

-- Close the door. CREATEROLE goes with the login, before any group: with it he could give himself the group again. False where the
-- role's row stays locked (a session that does not end, a prepared transaction): then what it gives is taken all the same, but for
-- rds_iam, which alone keeps a password of his own from being one. The next call, and each sweep, comes back for the door.
CREATE FUNCTION usher._nologin(u oid, nm name) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM usher._insist(u, format('ALTER ROLE %I NOLOGIN NOCREATEROLE', nm)
    || CASE WHEN usher._may_set_passwords() THEN ' PASSWORD NULL' ELSE '' END);
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RAISE LOG 'usher could not shut %: %', nm, SQLERRM;
  RETURN false;
END $$;

-- The sum of the leases that stand. In plpgsql, as all that is asked at each open and close: its plans are kept for the session,
-- those of a function in plain SQL are made anew at each call, and that costs more than what is asked. For the same reason few
-- queries ask much, and what can be said without one is.
CREATE FUNCTION usher._wanted(u oid, OUT live int, OUT method text, OUT until timestamptz, OUT connections int,
  OUT creates_roles boolean, OUT groups oid[]) LANGUAGE plpgsql STABLE AS $$
DECLARE
  s usher.standing;
  g text;
BEGIN
  live := 0; creates_roles := false; groups := '{}';
  FOR s IN SELECT * FROM usher.standing x WHERE x.role = u LOOP
    live := live + 1;
    method := greatest(method, s.method);
    until := greatest(until, s.ends_at);
    connections := greatest(connections, s.connection_limit);
    creates_roles := creates_roles OR s.creates_roles;
    FOREACH g IN ARRAY s.groups || CASE WHEN s.method = 'iam' THEN '{rds_iam}'::text[] ELSE '{}' END LOOP
      IF to_regrole(quote_ident(g)) IS NOT NULL AND to_regrole(quote_ident(g))::oid <> ALL (groups) THEN
        groups := groups || to_regrole(quote_ident(g))::oid;
      END IF;
    END LOOP;
  END LOOP;
END $$;

-- Takes what no lease gives. True when a membership was lost. One that may not be taken, or that somebody keeps locked, stays for
-- the next time, and does not save the others: whoever lost all his leases is shut out already.
CREATE FUNCTION usher._strip(u oid, nm name, wanted oid[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  r record;
  g name;
  excess name[];
  lost boolean := false;
BEGIN
  -- 14: every role may grant ITSELF to others (who then share its rights and, through rds_iam, lose their password login)
  FOR r IN SELECT DISTINCT p.rolname FROM pg_auth_members m JOIN pg_roles p ON p.oid = m.member
            WHERE m.roleid = u AND m.member <> 'usher_owner'::regrole LOOP
    BEGIN PERFORM usher._insist(u, format('REVOKE %I FROM %I', nm, r.rolname)); EXCEPTION WHEN insufficient_privilege THEN NULL; END;
  END LOOP;
  excess := ARRAY(SELECT DISTINCT p.rolname FROM pg_auth_members m JOIN pg_roles p ON p.oid = m.roleid
    WHERE m.member = u AND p.rolname <> 'usher_managed' AND p.oid <> ALL (wanted)
      AND (NOT usher._since16() OR m.grantor = 'usher_owner'::regrole));
  IF excess = '{}' THEN RETURN false; END IF;
  BEGIN
    PERFORM usher._insist(u, format('REVOKE %s FROM %I', usher._list(excess), nm), 1);   -- in one command: see _shut()
    RETURN true;
  EXCEPTION WHEN insufficient_privilege OR lock_not_available THEN
    FOREACH g IN ARRAY excess LOOP
      BEGIN
        PERFORM usher._insist(u, format('REVOKE %I FROM %I', g, nm), 1);
        lost := true;
      EXCEPTION WHEN insufficient_privilege OR lock_not_available THEN NULL;
      END;
    END LOOP;
  END;
  RETURN lost;
END $$;

-- Groups that somebody else gave and usher may not revoke. Not the roles that a person with CREATEROLE made: from 16 on the server
-- makes him their ADMIN by itself, and only dropping one of the two ends that; nor what he gives himself of them, which is no more.
CREATE FUNCTION usher._leftover(u oid, wanted oid[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(array_agg(DISTINCT g.rolname::text ORDER BY g.rolname::text), '{}')
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
   WHERE m.member = u AND g.rolname <> 'usher_managed' AND g.oid <> ALL (wanted) AND NOT coalesce(m.grantor = 10 AND m.admin_option
     AND NOT (to_jsonb(m)->>'inherit_option')::boolean AND NOT (to_jsonb(m)->>'set_option')::boolean, false)
     AND NOT (usher._since16() AND m.grantor = m.member));
END $$;

-- Make the role what its leases say. Used by open, close, repair and sweep, so that all agree and each repairs the others:
-- reference counting by construction.
CREATE FUNCTION usher._sync(u oid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  l record;
  nm name;
  w record;
  h record;
  g oid;
  fresh text;
  shut boolean;
BEGIN
  SELECT x.name, r.rolname, r.rolcreaterole INTO l FROM usher.login x JOIN pg_roles r ON r.oid = x.role
   WHERE x.role = u AND x.dropped_at IS NULL;
  IF NOT FOUND THEN RETURN jsonb_build_object('live', 0, 'dropped', true); END IF;
  nm := l.rolname;
  IF nm <> l.name THEN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = l.name) THEN
      PERFORM usher._insist(u, format('ALTER ROLE %I RENAME TO %I', nm, l.name));
      nm := l.name;
    END IF;
  END IF;
  SELECT * INTO w FROM usher._wanted(u);
  IF w.live = 0 THEN shut := usher._nologin(u, nm); END IF;   -- door first, privileges after
  IF w.live > 0 AND NOT w.creates_roles AND l.rolcreaterole THEN
    PERFORM usher._insist(u, format('ALTER ROLE %I NOCREATEROLE', nm));
  END IF;
  -- what it has of us; and whether there is anything else: then, and only then, it is gone through
  SELECT array_agg(m.roleid) FILTER (WHERE m.member = u AND (NOT usher._since16() OR m.grantor = 'usher_owner'::regrole)) AS given,
         bool_or(m.roleid = u AND m.member <> 'usher_owner'::regrole
           OR m.member = u AND m.roleid <> 'usher_managed'::regrole AND m.roleid <> ALL (w.groups)) AS odd
    INTO h FROM pg_auth_members m WHERE m.member = u OR m.roleid = u;
  -- before 16 a session that has SET ROLE to a group stays in it after the REVOKE: the sweep ends what is older than this
  IF h.odd THEN
    IF usher._strip(u, nm, w.groups || CASE WHEN shut IS FALSE THEN ARRAY[to_regrole('rds_iam')::oid] ELSE '{}' END) AND NOT usher._since16() THEN
      UPDATE usher.login x SET lost_at = clock_timestamp() WHERE x.name = l.name;
    END IF;
  END IF;
  IF w.live > 0 THEN                               -- before the groups: on 16+ each GRANT makes the next command on a role slow
    PERFORM usher._insist(u, format('ALTER ROLE %I LOGIN CONNECTION LIMIT %s VALID UNTIL %L', nm, w.connections, w.until)
      || CASE WHEN w.creates_roles THEN ' CREATEROLE' ELSE '' END || CASE WHEN w.method = 'iam' THEN ' PASSWORD NULL' ELSE '' END);
  END IF;
  FOREACH g IN ARRAY w.groups LOOP                 -- regrole writes a name as quote_ident() does
    IF g <> ALL (coalesce(h.given, '{}')) THEN fresh := concat_ws(', ', fresh, g::regrole::text); END IF;
  END LOOP;
  IF fresh IS NOT NULL THEN
    -- SET FALSE: the person uses the group's rights and never becomes the group, so owns nothing in its name
    PERFORM usher._insist(u, format('GRANT %s TO %I', fresh, nm)
      || CASE WHEN usher._since16() THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END);
  END IF;
  RETURN jsonb_build_object('login', l.name, 'live', w.live, 'ends_at', w.until,
      'leftover', CASE WHEN h.odd THEN usher._leftover(u, w.groups) ELSE '{}' END)
    || CASE WHEN shut IS FALSE THEN '{"locked": true}'::jsonb ELSE '{}' END;
END $$;

-- The same for many logins of which no lease is left, in few statements: from 16 on each statement on a role walks all the roles
-- that usher_owner made. One that cannot be shut is left for _sync() by _sweep_drift(), and does not save the others.
CREATE FUNCTION usher._shut(who oid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT p.oid, p.rolname FROM pg_roles p WHERE p.oid = ANY (who) ORDER BY 1 LOOP
    IF NOT usher._nologin(r.oid, r.rolname) THEN
      PERFORM usher._strip(r.oid, r.rolname, ARRAY[to_regrole('rds_iam')::oid]);
      who := array_remove(who, r.oid);
    END IF;
  END LOOP;
  IF NOT usher._since16() THEN                     -- see _sync()
    UPDATE usher.login x SET lost_at = clock_timestamp() WHERE x.role = ANY (who);
  END IF;
  FOR r IN SELECT g.rolname, array_agg(DISTINCT p.rolname) AS members FROM pg_auth_members m
             JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles p ON p.oid = m.member
            WHERE m.member = ANY (who) AND g.rolname <> 'usher_managed'
              AND (NOT usher._since16() OR m.grantor = 'usher_owner'::regrole) GROUP BY 1 LOOP
    BEGIN
      PERFORM usher._insist(NULL, format('REVOKE %I FROM %s', r.rolname, usher._list(r.members)), 1);
    EXCEPTION WHEN lock_not_available THEN NULL;   -- they are shut out; _sweep_drift() comes back for it
    END;
  END LOOP;
END $$;
