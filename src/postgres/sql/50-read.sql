-- 5. What the broker may call to look. No query text anywhere. All of it works on a reader too.

CREATE FUNCTION usher.profiles()
RETURNS TABLE (name text, groups text[], max_minutes int, connection_limit int, methods text[], enabled boolean,
  manages_passwords boolean, creates_roles boolean)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT p.name, p.groups, p.max_minutes, p.connection_limit, p.methods, p.enabled, p.manages_passwords, p.creates_roles
    FROM usher.profile p ORDER BY p.name
$$;

-- Live sessions of managed logins. application_name is text the client chose. A session whose TLS may not be seen has tls NULL.
CREATE FUNCTION usher.activity(logins text[] DEFAULT NULL)
RETURNS TABLE (pid int, login text, role oid, db text, addr text, port int, tls boolean, tls_version text, tls_cipher text,
  app text, backend_start timestamptz, state text)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT a.pid, l.name, a.usesysid, a.datname::text, host(a.client_addr), a.client_port, s.ssl, s.version, s.cipher,
         a.application_name, a.backend_start, a.state
    FROM pg_stat_activity a JOIN usher.login l ON l.role = a.usesysid AND l.dropped_at IS NULL LEFT JOIN pg_stat_ssl s ON s.pid = a.pid
   WHERE logins IS NULL OR l.name = ANY (logins)
$$;

-- Everybody who is connected to this very server, managed or not, with what tells a way around the broker from a way through it; the
-- caller's own login is left out. A role that was dropped has no name any more, and its sessions go on: they go by its number.
CREATE FUNCTION usher.sessions() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT jsonb_build_object('clock', clock_timestamp(), 'server_started', pg_postmaster_start_time(), 'sessions', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('pid', a.pid, 'login', coalesce(a.usename::text, l.name, 'role ' || a.usesysid),
             'db', a.datname, 'addr', host(a.client_addr), 'port', a.client_port, 'tls', s.ssl, 'tls_version', s.version,
             'tls_cipher', s.cipher, 'app', a.application_name, 'backend_start', a.backend_start, 'state', a.state,
             'managed', l.role IS NOT NULL, 'replication', coalesce(a.backend_type = 'walsender', false),
             'iam', NOT r.rolsuper AND pg_has_role(r.oid, to_regrole('rds_iam')::oid, 'MEMBER'),
             'administrator', r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls
               OR coalesce(pg_has_role(r.oid, to_regrole('rds_superuser')::oid, 'MEMBER'), false))), '[]')
      FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid LEFT JOIN usher.login l ON l.role = a.usesysid AND l.dropped_at IS NULL
      LEFT JOIN pg_stat_ssl s ON s.pid = a.pid
     WHERE a.usesysid IS NOT NULL AND a.usename IS DISTINCT FROM session_user
       AND (a.backend_type IN ('client backend', 'walsender') OR a.backend_type IS NULL AND a.datid IS NOT NULL)))
$$;

-- Everything about managed logins, all or those named, in one query. to_jsonb(m) because inherit and set exist from 16 on.
CREATE FUNCTION usher.inspect(logins text[] DEFAULT NULL)
RETURNS TABLE (login text, role oid, exists_ boolean, can_login boolean, connection_limit int, valid_until timestamptz,
  attributes text[], retired_at timestamptz, memberships jsonb, members jsonb, leases jsonb, backends jsonb, prepared int,
  person text, owned_objects int, direct_grants int)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
  WITH who AS MATERIALIZED (
      SELECT l.role, l.name, l.person, l.retired_at, r.oid, r.rolname, r.rolcanlogin, r.rolconnlimit, r.rolvaliduntil,
             array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'super' END, CASE WHEN r.rolcreaterole THEN 'createrole' END,
               CASE WHEN r.rolcreatedb THEN 'createdb' END, CASE WHEN r.rolreplication THEN 'replication' END,
               CASE WHEN r.rolbypassrls THEN 'bypassrls' END], NULL) AS attributes
        FROM usher.login l LEFT JOIN pg_roles r ON r.oid = l.role
       WHERE l.dropped_at IS NULL AND (logins IS NULL OR l.name = ANY (logins))),
    mem AS (
      SELECT m.member, jsonb_agg(jsonb_build_object('role', g.rolname, 'grantor', pg_get_userbyid(m.grantor), 'admin', m.admin_option,
               'inherit', to_jsonb(m)->'inherit_option', 'set', to_jsonb(m)->'set_option') ORDER BY g.rolname, m.grantor) j
        FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
       WHERE g.rolname <> 'usher_managed' AND m.member IN (SELECT w.role FROM who w)
         -- 16+: whoever makes a role is its ADMIN by the server's own act, and may give it to himself: see _leftover
         AND NOT coalesce(m.grantor = 10 AND m.admin_option AND NOT (to_jsonb(m)->>'inherit_option')::boolean
           AND NOT (to_jsonb(m)->>'set_option')::boolean, false)
         AND NOT (usher._since16() AND m.grantor = m.member) GROUP BY 1),
    rev AS (
      SELECT m.roleid, jsonb_agg(pg_get_userbyid(m.member)) j FROM pg_auth_members m
       WHERE m.member <> 'usher_owner'::regrole AND m.roleid IN (SELECT w.role FROM who w) GROUP BY 1),
    lea AS (
      SELECT l.role, jsonb_agg(jsonb_build_object('grant_id', l.grant_id, 'profile', l.profile, 'groups', l.groups,
               'connection_limit', l.connection_limit, 'method', l.method, 'opened_at', l.opened_at, 'ends_at', l.ends_at) ORDER BY l.opened_at) j
        FROM usher.lease l WHERE l.closed_at IS NULL AND l.role IN (SELECT w.role FROM who w) GROUP BY 1),
    act AS (
      SELECT a.role, jsonb_agg(to_jsonb(a) - 'role' ORDER BY a.pid) j FROM usher.activity(logins) a GROUP BY 1),
    pre AS (SELECT x.owner, count(*)::int n FROM pg_prepared_xacts x GROUP BY 1),
    dep AS (                                       -- of all databases: the catalog is shared
      SELECT s.refobjid, (count(*) FILTER (WHERE s.deptype = 'o'))::int AS owned, (count(*) FILTER (WHERE s.deptype = 'a'))::int AS named
        FROM pg_shdepend s WHERE s.refclassid = 'pg_authid'::regclass AND s.classid <> 'pg_auth_members'::regclass
         AND s.refobjid IN (SELECT w.role FROM who w) GROUP BY 1)
  SELECT w.name, w.role, w.oid IS NOT NULL, coalesce(w.rolcanlogin, false), w.rolconnlimit,
         w.rolvaliduntil, w.attributes, w.retired_at, coalesce(mem.j, '[]'), coalesce(rev.j, '[]'), coalesce(lea.j, '[]'),
         coalesce(act.j, '[]'), coalesce(pre.n, 0), w.person, coalesce(dep.owned, 0), coalesce(dep.named, 0)
    FROM who w LEFT JOIN mem ON mem.member = w.role LEFT JOIN rev ON rev.roleid = w.role LEFT JOIN lea ON lea.role = w.role
    LEFT JOIN act ON act.role = w.role LEFT JOIN pre ON pre.owner = w.rolname
    LEFT JOIN dep ON dep.refobjid = w.role
   ORDER BY 1
$$;

-- All that a look for drift compares, in one query: the managed logins; roles with our marker that are not ours; and roles that
-- cannot log in and reach rds_iam, so that each of their members is shut out of password logins. What is AWS's own is left to AWS.
CREATE FUNCTION usher.survey() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER AS $$
  WITH RECURSIVE down(o) AS (
    SELECT to_regrole('rds_iam')::oid
    UNION SELECT m.member FROM pg_auth_members m JOIN down ON m.roleid = down.o)
  SELECT jsonb_build_object(
    'logins', (SELECT coalesce(jsonb_agg(to_jsonb(i)), '[]') FROM usher.inspect() i),
    'foreign', (SELECT coalesce(jsonb_agg(r.rolname ORDER BY r.rolname), '[]') FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
       WHERE m.roleid = 'usher_managed'::regrole AND r.rolname <> 'usher_owner'
         AND NOT EXISTS (SELECT 1 FROM usher.login l WHERE l.role = r.oid AND l.dropped_at IS NULL)),
    'iam_groups', (SELECT coalesce(jsonb_agg(r.rolname ORDER BY r.rolname), '[]') FROM down JOIN pg_roles r ON r.oid = down.o
       WHERE NOT r.rolcanlogin AND r.rolname !~ '^rds' AND r.rolname <> 'usher_owner'
         AND r.oid <> (SELECT f.proowner FROM pg_proc f WHERE f.oid = 'usher.enter()'::regprocedure)
         AND NOT EXISTS (SELECT 1 FROM usher.login l WHERE l.role = r.oid AND l.dropped_at IS NULL)))
$$;

-- What is missing for a sweep without Usher, for this very database. Where pg_cron lives only readers of all settings may ask by
-- current_setting(), which fails for others; pg_settings leaves out what may not be seen.
CREATE FUNCTION usher._sweep_advice() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT 'nobody but the broker has swept for five minutes: with Usher down no access would end. '
    || CASE WHEN d IS NULL THEN 'Add pg_cron to shared_preload_libraries, restart, in database postgres CREATE EXTENSION pg_cron; then as the master: '
         ELSE format('As the master, in database %s: ', quote_ident(d)) END
    || CASE WHEN coalesce(d, 'postgres') = current_database()
         THEN 'SELECT cron.schedule(''usher-sweep'', ''* * * * *'', ''CALL usher.sweep()'')'
         ELSE format('SELECT cron.schedule_in_database(''usher-sweep'', ''* * * * *'', ''CALL usher.sweep()'', %L)', current_database()) END
    FROM (SELECT coalesce((SELECT nullif(s.setting, '') FROM pg_settings s WHERE s.name = 'cron.database_name'),
      CASE WHEN to_regnamespace('cron') IS NOT NULL THEN current_database()::text END)) x(d)
$$;

-- What the DBA should put right, found with the rights of usher_owner.
CREATE FUNCTION usher._problems() RETURNS TABLE (code text, message text) LANGUAGE sql STABLE AS $$
  SELECT 'rds_iam_not_grantable', 'usher_owner holds no ADMIN option on rds_iam: nothing can be opened with method iam'
   WHERE NOT EXISTS (SELECT 1 FROM pg_auth_members m
     WHERE m.roleid = to_regrole('rds_iam') AND m.member = 'usher_owner'::regrole AND m.admin_option)
  UNION ALL
  SELECT 'group_refused', format('profile %s: group %s %s', p.name, quote_ident(g), b)
    FROM usher.profile p, unnest(p.groups) g, usher._bad_group(g, p.manages_passwords) b WHERE p.enabled AND b IS NOT NULL
  UNION ALL
  SELECT 'group_not_grantable', format('profile %s: usher_owner may not grant %s; call usher.allow() again', p.name, quote_ident(g))
    FROM usher.profile p, unnest(p.groups) g
   WHERE p.enabled AND usher._since16() AND NOT EXISTS (SELECT 1 FROM pg_auth_members m
     WHERE m.roleid = to_regrole(quote_ident(g)) AND m.member = 'usher_owner'::regrole AND m.admin_option)
  UNION ALL
  SELECT 'sessions_hidden', 'usher_owner lacks pg_read_all_stats: client addresses and TLS are not seen'
   WHERE NOT pg_has_role('usher_owner', 'pg_read_all_stats', 'USAGE')
  UNION ALL
  SELECT 'owner_has_member', format('%s is a member of usher_owner', pg_get_userbyid(m.member)) FROM pg_auth_members m
   WHERE m.roleid = 'usher_owner'::regrole
     AND m.member <> (SELECT f.proowner FROM pg_proc f WHERE f.oid = 'usher.enter()'::regprocedure)
  UNION ALL
  SELECT 'broker_too_rich', 'usher_broker has role attributes or memberships beyond rds_iam' FROM pg_roles r
   WHERE r.rolname = 'usher_broker' AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls
     OR EXISTS (SELECT 1 FROM pg_auth_members m WHERE m.member = r.oid AND m.roleid IS DISTINCT FROM to_regrole('rds_iam')))
  UNION ALL
  SELECT 'broker_uses_password', 'usher_broker logs in by password, which a thief could change: prefer usher.broker_auth(''iam'')'
    FROM pg_roles r WHERE r.rolname = 'usher_broker' AND r.rolcanlogin
     AND NOT pg_has_role('usher_broker', 'rds_iam', 'MEMBER')
  UNION ALL
  SELECT 'prepared_transactions', 'max_prepared_transactions is above 0: a prepared transaction outlives the session of its user'
   WHERE current_setting('max_prepared_transactions')::int > 0
  UNION ALL
  SELECT 'public_schema_writable', 'everybody may create in schema public of this database: REVOKE CREATE ON SCHEMA public FROM PUBLIC'
    FROM pg_namespace n WHERE n.nspname = 'public' AND has_schema_privilege('public', n.oid, 'CREATE')
  UNION ALL
  SELECT 'passwords_not_settable', 'rds.restrict_password_commands is on: GRANT rds_password TO usher_owner'
   WHERE NOT usher._may_set_passwords()
  UNION ALL
  SELECT 'no_self_sweep', usher._sweep_advice() WHERE NOT EXISTS (SELECT 1 FROM usher.swept s
    WHERE s.by_ <> 'usher_broker' AND s.at > clock_timestamp() - interval '5 min')
  UNION ALL
  SELECT 'old_server', 'PostgreSQL 14 lets a role grant itself to others; fixed in 15'
   WHERE current_setting('server_version_num')::int < 150000
$$;

CREATE FUNCTION usher.hello() RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT jsonb_build_object(
    'server_version', current_setting('server_version_num')::int,
    'guard_version', usher.version(),
    'paused', (SELECT s.value <> 'off' FROM usher.setting s WHERE s.name = 'paused'),
    'in_recovery', pg_is_in_recovery(),
    'swept_at', (SELECT max(s.at) FROM usher.swept s WHERE s.by_ <> 'usher_broker'),
    'swept_by', (SELECT s.by_ FROM usher.swept s WHERE s.by_ <> 'usher_broker' ORDER BY s.at DESC LIMIT 1),
    'problems', (SELECT coalesce(jsonb_agg(to_jsonb(p)), '[]') FROM usher._problems() p))
$$;
