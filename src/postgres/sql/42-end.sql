-- 4b. What the broker may call to end: leases, sessions, and what differs. Still SET LOCAL ROLE usher_owner.

-- Ends one lease. By the lease's own row: it also works where somebody renamed or dropped the role meanwhile.
-- A lease that was never opened leaves a closed row behind all the same: an opening that a crashed broker sent may still be
-- on its way, and finds that its grant is over. Where the quota is used up no opening can succeed, and no row is needed.
CREATE FUNCTION usher.close(login text, grant_id text, why text DEFAULT 'closed') RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_variable
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  SELECT x.role INTO u FROM usher.lease x WHERE x.grant_id = grant_id AND x.login = login;
  IF u IS NULL THEN RETURN usher._close_unopened(login, grant_id, clock_timestamp()); END IF;
  UPDATE usher.lease x SET closed_at = clock_timestamp(), closed_why = left(why, 200)
   WHERE x.grant_id = grant_id AND x.closed_at IS NULL;
  RAISE LOG 'usher close login=% grant=% by=%', login, grant_id, session_user;
  RETURN usher._sync(u);                           -- also when it was closed already: repairs
END $$;

CREATE FUNCTION usher._close_unopened(login text, grant_id text, t timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
  u oid := (SELECT l.role FROM usher.login l WHERE l.name = login AND l.dropped_at IS NULL);
BEGIN
  PERFORM usher._check_names(login, grant_id, '', '{}');
  IF EXISTS (SELECT 1 FROM usher.lease x WHERE x.grant_id = grant_id) OR (SELECT sum(n) FROM usher.opened WHERE minute > t - interval '1 h')
       >= (SELECT value::int FROM usher.setting WHERE name = 'max_opens_per_hour') THEN
    PERFORM usher._refuse('no_such_lease', 'no such lease', '42704');
  END IF;
  INSERT INTO usher.opened AS o VALUES (date_trunc('minute', t), 1) ON CONFLICT (minute) DO UPDATE SET n = o.n + 1;
  INSERT INTO usher.lease (grant_id, role, login, profile, method, opened_at, ends_at, closed_at, closed_why, groups, connection_limit)
    VALUES (grant_id, coalesce(u, 0), login, '', '', t, t, t, 'never opened', '{}', 0);
  RAISE LOG 'usher close login=% grant=% by=% (never opened)', login, grant_id, session_user;
  RETURN CASE WHEN u IS NULL THEN jsonb_build_object('live', 0) ELSE usher._sync(u) END || jsonb_build_object('known', false);
END $$;

-- Makes a login what its live leases say, as open and close do.
CREATE FUNCTION usher.repair(login text) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  SELECT l.role INTO u FROM usher.login l WHERE l.name = login AND l.dropped_at IS NULL;
  IF u IS NULL THEN u := usher._managed(login); END IF;   -- says what it is instead
  RAISE LOG 'usher repair login=% by=%', login, session_user;
  RETURN usher._sync(u);
END $$;

-- Ends the sessions of these logins, those that cannot be seen too. Call it after close is committed: before that they could log
-- in again behind it. What is not managed is left out.
CREATE FUNCTION usher.terminate(logins text[]) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  PERFORM usher._lock();
  RAISE LOG 'usher terminate logins=% by=%', logins, session_user;
  RETURN usher._kill(ARRAY(SELECT l.role FROM usher.login l WHERE l.name = ANY (logins) AND l.dropped_at IS NULL));
END $$;

-- Sessions on a reader: only a command there ends them, and no membership can be borrowed there. So it is borrowed on the
-- writer, reaches the reader by replication, and is given back: reach(login, true), end_here(login) there, reach(login, false).
CREATE FUNCTION usher.reach(login text, on_ boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid;
BEGIN
  PERFORM usher._lock();
  u := usher._managed(login);
  IF on_ THEN
    PERFORM usher._borrow_all(ARRAY[u]);
  ELSIF EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = u AND m.member = 'usher_owner'::regrole
      AND (NOT usher._since16() OR m.grantor = 'usher_owner'::regrole)) THEN
    PERFORM usher._give_back(login::name);
  END IF;
END $$;

-- Ends the sessions of one login on the instance that is asked, also a reader; 42501 until the membership is there, or what hides
-- would be refused to us as a stranger's.
CREATE FUNCTION usher.end_here(login text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  u oid := usher._managed(login);
BEGIN
  IF NOT pg_has_role('usher_owner', u, 'USAGE') THEN
    PERFORM usher._refuse('not_reached', format('usher.reach(%L, true) has not arrived here', login), '42501');
  END IF;
  RAISE LOG 'usher end_here login=% by=%', login, session_user;
  RETURN usher._end(ARRAY[u]);
END $$;
