-- What logs of servers say goes when it is older than the retention: by the database, which knows what is still needed.

-- CreateTable
CREATE TABLE "server_log_retention" (
    "only" BOOLEAN NOT NULL DEFAULT true,
    "days" INTEGER NOT NULL,

    CONSTRAINT "server_log_retention_pkey" PRIMARY KEY ("only")
);

-- CreateTable
CREATE TABLE "server_log_expiry" (
    "target_id" UUID NOT NULL,
    "events" BIGINT NOT NULL,
    "newest_at" TIMESTAMPTZ(3) NOT NULL,
    "told" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "server_log_expiry_pkey" PRIMARY KEY ("target_id")
);

-- AddForeignKey
ALTER TABLE "server_log_expiry" ADD CONSTRAINT "server_log_expiry_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE server_log_retention
  ADD CONSTRAINT server_log_retention_only CHECK ("only"),
  ADD CONSTRAINT server_log_retention_days CHECK (days BETWEEN 1 AND 3650);
ALTER TABLE server_log_expiry
  ADD CONSTRAINT server_log_expiry_counts CHECK (events > 0 AND told BETWEEN 0 AND events);
-- what a service starts with that says nothing: one that does not log in as the owner could not write it
INSERT INTO server_log_retention (days) VALUES (400);

------------------------------------------------------------------------------------------------- what must never be
-- Nobody changes what a log said, and nobody deletes it before its time, the owner included.
CREATE FUNCTION server_log_event_expires() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  before timestamptz;
BEGIN
  EXECUTE format('SELECT now() - make_interval(days => days) FROM %I.server_log_retention', TG_TABLE_SCHEMA) INTO before;
  IF OLD.at < before THEN RETURN OLD; END IF;
  RAISE EXCEPTION '% is append only within its retention: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;
DROP TRIGGER server_log_event_append_only ON server_log_event;
CREATE TRIGGER server_log_event_append_only BEFORE UPDATE ON server_log_event FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER server_log_event_expires BEFORE DELETE ON server_log_event FOR EACH ROW EXECUTE FUNCTION server_log_event_expires();

-- "@." stands for the schema of this state, as in the functions of the months.
DO $migration$
DECLARE
  here CONSTANT text := quote_ident(current_schema()) || '.';
  definition text;
BEGIN
  FOREACH definition IN ARRAY ARRAY[
$create$
-- Deletes the oldest events of one target that are older than the retention, 5,000 at the most. What has not been tied to its session
-- stays, and with it what was said in the two minutes before it (docs/server-logs.md); while more than 10,000 wait to be tied, all
-- stays. Nothing of a target that is gone is tied any more. How far files were read is kept: nothing is read again.
CREATE FUNCTION @.server_log_drop_expired() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
DECLARE
  expired CONSTANT timestamptz := (SELECT now() - make_interval(days => r.days) FROM @.server_log_retention r);
  none CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
  place record;
  waiting record;
  gone record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('usher server log expiry'));
  FOR place IN SELECT t.id, t.deleted_at, coalesce(c.event_id, none) AS tied FROM @.target t LEFT JOIN @.connection_log_cursor c ON c.target_id = t.id
                WHERE EXISTS (SELECT FROM @.server_log_event e WHERE e.target_id = t.id AND e.at < expired) ORDER BY t.id LOOP
    SELECT count(*) AS events, min(u.at) AS oldest INTO waiting
      FROM (SELECT e.at FROM @.server_log_event e WHERE e.target_id = place.id AND e.id > place.tied ORDER BY e.id LIMIT 10001) u
     WHERE place.deleted_at IS NULL;
    CONTINUE WHEN waiting.events > 10000;
    WITH old AS (
      SELECT e.id FROM @.server_log_event e
       WHERE e.target_id = place.id AND e.at < least(expired, waiting.oldest - interval '2 min')
         AND (e.id <= place.tied OR place.deleted_at IS NOT NULL)
       ORDER BY e.at LIMIT 5000), deleted AS (
      DELETE FROM @.server_log_event e USING old WHERE e.id = old.id RETURNING e.at)
    SELECT count(*) AS events, max(d.at) AS newest INTO gone FROM deleted d;
    CONTINUE WHEN gone.events = 0;
    INSERT INTO @.server_log_expiry AS x (target_id, events, newest_at) VALUES (place.id, gone.events, gone.newest)
      ON CONFLICT (target_id) DO UPDATE SET events = x.events + excluded.events, newest_at = greatest(x.newest_at, excluded.newest_at);
    RETURN gone.events;
  END LOOP;
  RETURN 0;
END $$
$create$,
$create$ REVOKE ALL ON FUNCTION @.server_log_drop_expired() FROM PUBLIC $create$,
$create$ GRANT EXECUTE ON FUNCTION @.server_log_drop_expired() TO usher_app $create$]
  LOOP
    EXECUTE replace(definition, '@.', here);
  END LOOP;
END $migration$;

---------------------------------------------------------------------------------------------------------- the rights
GRANT SELECT ON server_log_retention, server_log_expiry TO usher_app;
GRANT UPDATE (told) ON server_log_expiry TO usher_app;
