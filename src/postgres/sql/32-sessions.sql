-- 3b. Ending sessions. Still SET LOCAL ROLE usher_owner.
--
-- A role that can no longer log in may still have sessions, and not all of them can be seen. A client that connects with
-- options=-c post_auth_delay=600 is logged in, and sleeps before it shows itself: up to 17 it is not in pg_stat_activity at all, from
-- 18 on it stands there without a user. It would wake up later, with nobody looking. What it cannot hide is in pg_locks, with its
-- pid: the transaction in which it read its role (virtualxid), and the lock on its database, which it takes right after that and
-- before it sleeps. Whose it is nobody says; but pg_terminate_backend() knows, and obeys us only for roles whose membership we
-- hold. So each unnamed pid is simply tried: a stranger's is refused, one of ours ends as soon as it wakes, before it reads its first
-- command.
--
-- Why that is proof: NOLOGIN is committed before sessions are ended. Who was let in before holds both locks from then until it is
-- seen, so is found here. Who is still proving a password or token has no lock on a database and is refused to us, being nobody
-- yet: afterwards a fresh look at the role says whether it may log in, and it may not. Between that look and the lock lie a few
-- instructions: hence a second and a third look, some 10 ms later, while there is anybody on the way in.

-- Backends that have a transaction and no name; in_ when logged in.
CREATE FUNCTION usher._unnamed() RETURNS TABLE (pid int, in_ boolean) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN QUERY SELECT k.pid, bool_or(k.locktype = 'object') FROM pg_locks k LEFT JOIN pg_stat_activity a ON a.pid = k.pid
   WHERE (k.locktype = 'virtualxid' AND k.granted OR k.locktype = 'object' AND k.classid = 'pg_database'::regclass)
     AND k.pid <> pg_backend_pid() AND a.usesysid IS NULL AND coalesce(a.backend_type, 'client backend') = 'client backend'
   GROUP BY 1;
END $$;

-- Whether anybody hides, who need not be one of those we look for.
CREATE FUNCTION usher._somebody_hides() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  any_in boolean;
BEGIN
  FOR look IN 1..3 LOOP
    SELECT bool_or(x.in_) INTO any_in FROM usher._unnamed() x;
    EXIT WHEN any_in IS NOT FALSE OR look = 3;     -- null: nobody is on the way in either
    PERFORM pg_sleep(0.01);
    PERFORM pg_stat_clear_snapshot();
  END LOOP;
  RETURN any_in IS TRUE;
END $$;

CREATE FUNCTION usher._has_backend(u oid, only_pid int[]) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT 1 FROM pg_stat_activity
    WHERE usesysid = u AND pid <> pg_backend_pid() AND (only_pid IS NULL OR pid = ANY (only_pid)))
$$;

-- One look: signals every session of these roles, and every unnamed one that lets us.
CREATE FUNCTION usher._signal(who oid[], only_pid int[]) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
  p int;
  done int[] := '{}';
BEGIN
  PERFORM pg_stat_clear_snapshot();
  FOR p IN SELECT pid FROM pg_stat_activity
            WHERE usesysid = ANY (who) AND pid <> pg_backend_pid() AND (only_pid IS NULL OR pid = ANY (only_pid))
           UNION SELECT x.pid FROM usher._unnamed() x WHERE only_pid IS NULL LOOP
    BEGIN
      IF pg_terminate_backend(p) THEN done := done || p; END IF;
    EXCEPTION WHEN insufficient_privilege THEN NULL;   -- a stranger's, or the pid was reused
    END;
  END LOOP;
  RETURN done;
END $$;

-- Signals until a look finds nothing, at most 2 s: a session that waits for its disk ends later. Needs the membership.
CREATE FUNCTION usher._end(who oid[], only_pid int[] DEFAULT NULL) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  found_ int[];
  all_ int[] := '{}';
  looks int := 0;
  till timestamptz := clock_timestamp() + interval '2 s';
BEGIN
  LOOP
    found_ := usher._signal(who, only_pid);
    all_ := all_ || found_;
    looks := looks + 1;
    EXIT WHEN clock_timestamp() > till
      OR found_ = '{}' AND (looks > 2 OR only_pid IS NOT NULL OR NOT EXISTS (SELECT 1 FROM usher._unnamed()));
    PERFORM pg_sleep(least(0.005 * 2 ^ looks, 0.1));
  END LOOP;
  RETURN (SELECT count(DISTINCT x) FROM unnest(all_) x);
END $$;

-- Ends the sessions of these roles. Borrows their membership for the call instead of holding pg_signal_backend over the whole
-- cluster: the master, rdsadmin and other people stay out of reach. Nobody else ever sees the membership: what was granted is
-- rolled back, and a signal that was sent is not. From 16 on that also saves a REVOKE each, which walks all roles that usher_owner made.
-- One whose sessions cannot be ended does not save the others, and is told of: what it hides nobody has seen end.
CREATE FUNCTION usher._kill(who oid[], only_pid int[] DEFAULT NULL) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  u oid;
  n int := 0;
  stuck text[] := '{}';
BEGIN
  PERFORM pg_stat_clear_snapshot();
  IF only_pid IS NOT NULL OR NOT usher._somebody_hides() THEN   -- only those that are seen
    who := ARRAY(SELECT DISTINCT a.usesysid FROM pg_stat_activity a
      WHERE a.usesysid = ANY (who) AND a.pid <> pg_backend_pid() AND (only_pid IS NULL OR a.pid = ANY (only_pid)));
  END IF;
  IF coalesce(who, '{}') = '{}' THEN RETURN 0; END IF;
  BEGIN
    PERFORM usher._borrow_all(who);
    n := usher._end(who, only_pid);
    RAISE EXCEPTION USING ERRCODE = 'UGBCK';
  EXCEPTION WHEN SQLSTATE 'UGBCK' THEN NULL; WHEN OTHERS THEN
    IF cardinality(who) = 1 THEN
      IF SQLSTATE <> '55P03' THEN RAISE; END IF;    -- his own doing, not the server's: on 14 a role may give itself to us, and wait
      PERFORM usher._refuse('sessions', format('the sessions of %s cannot be ended: %s', who[1]::regrole, SQLERRM), '55000');
    END IF;
    FOREACH u IN ARRAY who LOOP
      BEGIN
        n := n + usher._kill(ARRAY[u], only_pid);
      EXCEPTION WHEN OTHERS THEN
        RAISE LOG 'usher could not end the sessions of %: %', u::regrole, SQLERRM;
        stuck := stuck || u::regrole::text;
      END;
    END LOOP;
  END;
  IF stuck <> '{}' THEN PERFORM usher._refuse('sessions', format('the sessions of %s do not end', array_to_string(stuck, ', ')), '55000'); END IF;
  RETURN n;
END $$;
CREATE FUNCTION usher._kill(u oid) RETURNS int LANGUAGE sql AS $$ SELECT usher._kill(ARRAY[u]) $$;

-- The sweep's way to the lock. A stolen broker login may sit on it in an open transaction, with more sessions queued behind:
-- whoever of the broker's sessions still holds or awaits it after 5 s is ended. It must not be able to stop closing: where such a
-- session does not end either, the sweep goes on without. What it does is safe to do twice, and two who change one role at a time
-- fail, which the next sweep mends. @returns whether the lock is held
CREATE FUNCTION usher._lock_hard() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  hog int[];
  -- by this session: the next step of the same sweep need not find it out again
  without timestamptz := nullif(current_setting('usher.without_lock', true), '');
BEGIN
  FOR i IN CASE WHEN without > clock_timestamp() - interval '1 min' THEN 4 ELSE 1 END..4 LOOP
    BEGIN
      PERFORM set_config('lock_timeout', CASE WHEN i = 1 THEN '5s' ELSE '300ms' END, true);
      PERFORM usher._lock();
      PERFORM set_config('lock_timeout', '10s', true);
      RETURN true;
    EXCEPTION WHEN lock_not_available THEN
      SELECT array_agg(k.pid) INTO hog FROM pg_locks k JOIN pg_stat_activity a USING (pid)
       WHERE k.relation = 'usher.mutex'::regclass AND a.usesysid = 'usher_broker'::regrole
         AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.pid <> pg_backend_pid();
      IF hog IS NOT NULL THEN
        RAISE LOG 'usher: ending % broker sessions that keep the lock', cardinality(hog);
        BEGIN
          PERFORM usher._kill(ARRAY['usher_broker'::regrole::oid], hog);
        EXCEPTION WHEN OTHERS THEN
          RAISE LOG 'usher: they do not end: %', SQLERRM;
        END;
      END IF;
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', '2s', true), set_config('usher.without_lock', clock_timestamp()::text, false);
  RAISE LOG 'usher: sweeping without the lock';
  RETURN false;
END $$;
