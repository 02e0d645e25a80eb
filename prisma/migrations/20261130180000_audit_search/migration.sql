-- The record by months, so that what is older than its retention goes as a whole; and an index behind each way to search it.

-- CreateTable
CREATE TABLE "audit_partition" (
    "name" TEXT NOT NULL,
    "from_at" TIMESTAMPTZ(3),
    "to_at" TIMESTAMPTZ(3) NOT NULL,
    "dropped_at" TIMESTAMPTZ(3),
    "events" BIGINT,

    CONSTRAINT "audit_partition_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "audit_retention" (
    "only" BOOLEAN NOT NULL DEFAULT true,
    "months" INTEGER NOT NULL,

    CONSTRAINT "audit_retention_pkey" PRIMARY KEY ("only")
);

ALTER TABLE audit_partition
  ADD CONSTRAINT audit_partition_name CHECK (name ~ '^audit_event_[a-z0-9_]+$'),
  ADD CONSTRAINT audit_partition_period CHECK (from_at < to_at),
  ADD CONSTRAINT audit_partition_dropped CHECK ((dropped_at IS NULL) = (events IS NULL));
ALTER TABLE audit_retention
  ADD CONSTRAINT audit_retention_only CHECK ("only"),
  ADD CONSTRAINT audit_retention_months CHECK (months BETWEEN 1 AND 1200);

-- DropIndex
DROP INDEX "audit_event_at_idx"; -- a period is found by ids, which hold the time

-------------------------------------------------------------------------------------------------- a month, a partition
-- The lowest id of a moment: an id is a UUID of version 7, which begins with the milliseconds since 1970 (RFC 9562, 5.7).
CREATE FUNCTION audit_first_id(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- What was there until now becomes the first partition as it is: nothing is copied. It reaches to the end of this month, or of the
-- last one that an id is of. Triggers and indexes are taken over from what is there, whichever they are.
DO $$
DECLARE
  ends timestamptz;
  made text[] := ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'audit_event'::regclass AND NOT indisprimary);
  watching text[] := ARRAY(SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'audit_event'::regclass AND NOT tgisinternal);
  statement text;
  thing record;
BEGIN
  ends := greatest(now(), (SELECT to_timestamp(('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0)
                             FROM audit_event ORDER BY id DESC LIMIT 1));
  ends := (date_trunc('month', ends AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  ALTER TABLE audit_event RENAME TO audit_event_before;
  ALTER TABLE audit_event_before RENAME CONSTRAINT audit_event_pkey TO audit_event_before_pkey;
  FOR thing IN SELECT i.indexrelid::regclass AS name, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = 'audit_event_before'::regclass AND NOT i.indisprimary LOOP
    EXECUTE format('ALTER INDEX %s RENAME TO %I', thing.name, replace(thing.relname, 'audit_event_', 'audit_event_before_'));
  END LOOP;
  FOR thing IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'audit_event_before'::regclass AND NOT tgisinternal LOOP
    EXECUTE format('DROP TRIGGER %I ON audit_event_before', thing.tgname);
  END LOOP;
  CREATE TABLE audit_event (LIKE audit_event_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (id);
  ALTER TABLE audit_event ADD CONSTRAINT audit_event_pkey PRIMARY KEY (id);
  FOREACH statement IN ARRAY made || watching LOOP
    EXECUTE statement;
  END LOOP;
  EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION audit_event_before FOR VALUES FROM (MINVALUE) TO (%L)', audit_first_id(ends));
  INSERT INTO audit_partition (name, from_at, to_at) VALUES ('audit_event_before', NULL, ends);
  -- for ids of no month that was made: must stay empty, and is watched
  CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;
END $$;
-- a trigger for statements is of one table, and truncating a part of the record is truncating the record
CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event_before FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event_default FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Makes the months up to `ahead` from now that are not there yet. They are made apart and attached: by CREATE TABLE …
-- PARTITION OF the record as a whole would be locked.
CREATE FUNCTION audit_make_partitions(ahead integer) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  last timestamptz;
  ends timestamptz;
  month text;
BEGIN
  IF ahead NOT BETWEEN 0 AND 24 THEN
    RAISE EXCEPTION 'months ahead are 0 to 24, not %', ahead USING ERRCODE = '22023';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('usher audit partitions'));
  LOOP
    last := (SELECT max(to_at) FROM audit_partition);
    EXIT WHEN last > (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
    ends := ((last AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    month := 'audit_event_' || to_char(last AT TIME ZONE 'UTC', 'YYYY_MM');
    EXECUTE format('CREATE TABLE %I (LIKE audit_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', month);
    EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', month, audit_first_id(last), audit_first_id(ends));
    EXECUTE format('CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION append_only()', month);
    INSERT INTO audit_partition (name, from_at, to_at) VALUES (month, last, ends);
    RETURN NEXT month;
  END LOOP;
END $$;

-- Drops the oldest month that is older than the retention, and that is proved to have been: every line of it is sealed, and a signed
-- checkpoint is over all of them. Seals stay. For how long lines are kept says the owner of the database alone: whoever works as
-- usher_app can have nothing dropped that would not be dropped anyway.
CREATE FUNCTION audit_drop_expired() RETURNS TABLE (dropped text, ends timestamptz, lines bigint, last_sequence bigint)
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  kept integer := (SELECT months FROM audit_retention);
  part audit_partition;
  sealed bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('usher audit partitions'));
  SELECT * INTO part FROM audit_partition WHERE dropped_at IS NULL ORDER BY to_at LIMIT 1;
  IF kept IS NULL OR part.name IS NULL
     OR part.to_at > (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => kept)) AT TIME ZONE 'UTC' THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %I IN SHARE MODE', part.name); -- nobody has written there for long; nobody will
  EXECUTE format('SELECT count(*), count(s.seq), max(s.seq) FROM %I e LEFT JOIN audit_seal s ON s.event_id = e.id', part.name)
    INTO lines, sealed, last_sequence;
  IF lines > sealed THEN
    RAISE EXCEPTION '% is not dropped: % lines of it are not sealed', part.name, lines - sealed USING ERRCODE = '55000';
  END IF;
  IF lines > 0 AND NOT EXISTS (SELECT FROM audit_checkpoint WHERE size >= last_sequence AND note IS NOT NULL) THEN
    RAISE EXCEPTION '% is not dropped: no signed checkpoint is over its last line, %', part.name, last_sequence USING ERRCODE = '55000';
  END IF;
  EXECUTE format('ALTER TABLE audit_event DETACH PARTITION %I', part.name);
  EXECUTE format('DROP TABLE %I', part.name);
  UPDATE audit_partition SET dropped_at = now(), events = lines WHERE name = part.name;
  dropped := part.name;
  ends := part.to_at;
  RETURN NEXT;
END $$;

-- The functions run with the owner's rights: names are looked up where they were made, and never among the caller's own. What they
-- change waits for nobody for long, for everybody else would wait behind it: they are called again.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['audit_make_partitions(integer)', 'audit_drop_expired()'] LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
    EXECUTE format('ALTER FUNCTION %s SET lock_timeout = %L', name, '3s');
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO usher_app', name);
  END LOOP;
END $$;

SELECT audit_make_partitions(3);

-------------------------------------------------------------------------------------------------------- ways to search
-- What a proxy says of a caller is text: what is no address is none. An IPv4 address within an IPv6 one (RFC 4291, 2.5.5.2) is the former.
-- Not for parallel work: to catch an error is to begin a subtransaction, which workers may not.
CREATE FUNCTION audit_network(address text) RETURNS inet LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN host(regexp_replace(split_part(address, '%', 1), '^::ffff:(\d+\.\d+\.\d+\.\d+)$', '\1', 'i')::inet)::inet;
EXCEPTION WHEN invalid_text_representation THEN
  RETURN NULL;
END $$;

CREATE INDEX audit_event_network ON audit_event (audit_network(address), id DESC) WHERE address IS NOT NULL;
CREATE INDEX audit_event_ticket ON audit_event ((details->>'ticket'), request_id) WHERE details->>'ticket' IS NOT NULL;
-- without a language: reasons are in many
CREATE INDEX audit_event_reason ON audit_event USING gin (to_tsvector('simple', details->>'reason')) WHERE details->>'reason' IS NOT NULL;
CREATE INDEX request_ticket ON request (ticket) WHERE ticket IS NOT NULL;

---------------------------------------------------------------------------------------------------------- the rights
REVOKE ALL ON audit_event_before FROM usher_app; -- it is reached through audit_event
GRANT SELECT ON audit_event_default TO usher_app; -- to see that it is empty
GRANT SELECT, INSERT ON audit_event TO usher_app;
GRANT SELECT ON audit_partition, audit_retention TO usher_app;
