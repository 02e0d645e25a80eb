-- 4c. The sweep: ends what has expired with no broker running. Still SET LOCAL ROLE usher_owner.

-- Step 1, at most 100 logins a call: with thousands of logins a close costs milliseconds on 16+, and the lock must not be held
-- longer than the lock_timeout of the others.
CREATE FUNCTION usher.sweep_close(skip oid[] DEFAULT '{}') RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  due oid[];
  bad text[] := '{}';
  u oid;
BEGIN
  PERFORM usher._lock_hard();
  due := ARRAY(SELECT DISTINCT l.role FROM usher.lease l WHERE l.closed_at IS NULL AND l.role <> ALL (coalesce(skip, '{}'))
    AND NOT EXISTS (SELECT 1 FROM usher.standing s WHERE s.grant_id = l.grant_id) ORDER BY 1 LIMIT 100);
  BEGIN
    PERFORM usher._sweep_leases(due);
  EXCEPTION WHEN OTHERS THEN
    FOREACH u IN ARRAY due LOOP                    -- one stuck login does not keep the others open
      BEGIN
        PERFORM usher._sweep_leases(ARRAY[u]);
      EXCEPTION WHEN OTHERS THEN
        bad := bad || format('%s: %s', u::regrole, SQLERRM);
      END;
    END LOOP;
  END;
  IF due = '{}' THEN bad := usher._sweep_drift(); END IF;
  IF due <> '{}' OR bad <> '{}' THEN RAISE LOG 'usher sweep logins=% failed=%', cardinality(due), bad; END IF;
  RETURN jsonb_build_object('logins', cardinality(due), 'failed', bad, 'skip', to_jsonb(coalesce(skip, '{}') || due), 'more', due <> '{}');
END $$;

CREATE FUNCTION usher._sweep_leases(due oid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  u oid;
BEGIN
  UPDATE usher.lease l SET closed_at = clock_timestamp(), closed_why = 'swept'
   WHERE l.role = ANY (due) AND l.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM usher.standing s WHERE s.grant_id = l.grant_id);
  PERFORM usher._shut(ARRAY(SELECT x FROM unnest(due) x WHERE NOT EXISTS (SELECT 1 FROM usher.standing s WHERE s.role = x)));
  FOR u IN SELECT DISTINCT s.role FROM usher.standing s WHERE s.role = ANY (due) LOOP
    PERFORM usher._sync(u);
  END LOOP;
END $$;

-- The broker's login has no settings of its own, and no members. PostgreSQL lets every role change its own settings: a thief could
-- leave some that make all later sessions useless, e.g. default_transaction_isolation. Before 15 it lets a role give itself to
-- others, who would then count as IAM users, the master too.
CREATE FUNCTION usher._tidy_broker() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
  b oid := 'usher_broker'::regrole;                -- a thief may hold his own rows: see _insist()
BEGIN
  FOR r IN SELECT d.datname FROM pg_db_role_setting c LEFT JOIN pg_database d ON d.oid = c.setdatabase
            WHERE c.setrole = 'usher_broker'::regrole LOOP
    PERFORM usher._insist(b, format('ALTER ROLE usher_broker %s RESET ALL', 'IN DATABASE ' || quote_ident(r.datname)), 2);
  END LOOP;
  FOR r IN SELECT DISTINCT p.rolname FROM pg_auth_members m JOIN pg_roles p ON p.oid = m.member
            WHERE m.roleid = 'usher_broker'::regrole AND p.rolname <> 'usher_owner' LOOP
    PERFORM usher._insist(b, format('REVOKE usher_broker FROM %I', r.rolname), 2);
  END LOOP;
END $$;

-- Logins that are more than their leases say (a DBA, a restore, or on 14 the person did it): able to log in, with CREATEROLE, in a
-- group, renamed, or with a member. Only what can be put right is looked for.
CREATE FUNCTION usher._sweep_drift() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  u oid;
  bad text[] := '{}';
BEGIN
  BEGIN
    PERFORM usher._tidy_broker();
  EXCEPTION WHEN OTHERS THEN
    bad := bad || format('usher_broker: %s', SQLERRM);
  END;
  FOR u IN SELECT r.oid FROM usher.login l JOIN pg_roles r ON r.oid = l.role WHERE l.dropped_at IS NULL AND l.retired_at IS NULL AND
     (r.rolname <> l.name
      OR r.rolcanlogin AND NOT EXISTS (SELECT 1 FROM usher.standing s WHERE s.role = r.oid)
      OR r.rolcreaterole AND NOT EXISTS (SELECT 1 FROM usher.standing s WHERE s.role = r.oid AND s.creates_roles)
      OR EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.roleid = r.oid AND m.member <> 'usher_owner'::regrole)
      OR EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid AND g.rolname <> 'usher_managed'
           AND (NOT usher._since16() OR m.grantor = 'usher_owner'::regrole) AND NOT EXISTS (SELECT 1 FROM usher.standing s
             WHERE s.role = r.oid AND (g.rolname = ANY (s.groups) OR g.rolname = 'rds_iam' AND s.method = 'iam')))) LOOP
    BEGIN
      PERFORM usher._sync(u);
    EXCEPTION WHEN OTHERS THEN
      bad := bad || format('%s: %s', u::regrole, SQLERRM);
    END;
  END LOOP;
  RETURN bad;
END $$;

-- Step 2, in a later transaction: only when NOLOGIN is committed can nobody slip in behind the kill. Before 16 also the sessions
-- that were there when their login lost a group.
CREATE FUNCTION usher.sweep_kill(skip oid[] DEFAULT '{}') RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  who oid[];
  n int;
BEGIN
  skip := coalesce(skip, '{}');
  PERFORM usher._lock_hard();
  who := ARRAY(SELECT DISTINCT l.role FROM usher.login l LEFT JOIN pg_stat_activity a ON a.usesysid = l.role
    WHERE l.dropped_at IS NULL AND l.role <> ALL (skip)
      AND (a.backend_start <= l.lost_at OR NOT EXISTS (SELECT 1 FROM usher.standing s WHERE s.role = l.role)
        AND (a.pid IS NOT NULL OR l.role IN (SELECT x.role FROM usher.lease x WHERE x.closed_at > clock_timestamp() - interval '2 min')))
    LIMIT 200);
  BEGIN
    n := usher._kill(who);
  EXCEPTION WHEN OTHERS THEN NULL;                 -- all that could be ended are, and it is logged which were not
  END;
  RETURN jsonb_build_object('ended', n, 'skip', to_jsonb(skip || who), 'more', who <> '{}');
END $$;

-- Step 3: says that it was done, and forgets what is too old.
CREATE FUNCTION usher.sweep_done() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  t timestamptz := clock_timestamp();
BEGIN
  INSERT INTO usher.swept VALUES (session_user, t) ON CONFLICT (by_) DO UPDATE SET at = excluded.at;
  DELETE FROM usher.opened WHERE minute < t - interval '2 h';
  DELETE FROM usher.lease WHERE grant_id IN (SELECT l.grant_id FROM usher.lease l WHERE l.closed_at
    < t - make_interval(days => (SELECT value::int FROM usher.setting WHERE name = 'history_days')) LIMIT 10000);
END $$;

-- INVOKER and without SET, or COMMIT would be refused; therefore no operators and only qualified names.
CREATE PROCEDURE usher.sweep() LANGUAGE plpgsql AS $$
DECLARE
  j pg_catalog.jsonb;
  k pg_catalog.jsonb;
BEGIN
  FOR i IN 1..400 LOOP
    j := usher.sweep_close(usher._skip(j));
    COMMIT;                                        -- each batch takes effect on its own
    k := usher.sweep_kill(usher._skip(k));
    COMMIT;
    EXIT WHEN usher._more(j) IS NOT TRUE AND usher._more(k) IS NOT TRUE;
  END LOOP;
  PERFORM usher.sweep_done();
END $$;
