-- The functions of the months look up nothing where others may create, and a month is dropped without its lines being counted then.

-- AlterTable
ALTER TABLE "audit_partition" ADD COLUMN     "last_sequence" BIGINT,
ADD COLUMN     "sealed" BIGINT NOT NULL DEFAULT 0;

-- From here on places are counted as they are given. Once, here, they are counted as they stand.
LOCK TABLE audit_seal IN SHARE MODE;
UPDATE audit_partition p SET sealed = s.lines, last_sequence = s.last
  FROM (SELECT m.name, count(*) AS lines, max(seq) AS last FROM audit_partition m
          JOIN audit_seal ON event_id >= coalesce(audit_first_id(m.from_at), '00000000-0000-0000-0000-000000000000') AND event_id < audit_first_id(m.to_at)
         GROUP BY m.name) s WHERE s.name = p.name;

-- A function with its owner's rights names all that is not PostgreSQL's own with its schema, which is whichever this is: "@." stands
-- for it. Where everybody may create in that schema, theirs would else be found too, by an argument that fits better.
DO $migration$
DECLARE
  here CONSTANT text := quote_ident(current_schema()) || '.';
  definition text;
BEGIN
  FOREACH definition IN ARRAY ARRAY[
$create$
-- Counts the places that were given, by month.
CREATE FUNCTION @.audit_seal_counts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  WITH month AS MATERIALIZED (
    SELECT m.name, m.first, m.ends, row_number() OVER (ORDER BY m.first) AS n
      FROM (SELECT name, coalesce(@.audit_first_id(from_at), '00000000-0000-0000-0000-000000000000') AS first, @.audit_first_id(to_at) AS ends
              FROM @.audit_partition WHERE dropped_at IS NULL) m),
  bounds AS MATERIALIZED (SELECT array_agg(m.first ORDER BY m.n) AS firsts FROM month m)
  UPDATE @.audit_partition p SET sealed = p.sealed + s.lines, last_sequence = greatest(p.last_sequence, s.last)
    FROM (SELECT m.name, count(*) AS lines, max(b.seq) AS last
            FROM batch b CROSS JOIN bounds JOIN month m ON m.n = width_bucket(b.event_id, bounds.firsts)
           WHERE b.event_id < m.ends GROUP BY m.name) s WHERE s.name = p.name;
  RETURN NULL;
END $$
$create$,
$create$
-- As before: makes the months up to `ahead` from now that are not there yet. They are made apart and attached: by CREATE TABLE …
-- PARTITION OF the record as a whole would be locked. Lines of a month may have been stray until it was made: their places count.
CREATE OR REPLACE FUNCTION @.audit_make_partitions(ahead integer) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s' AS $$
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
    last := (SELECT max(p.to_at) FROM @.audit_partition p);
    EXIT WHEN last > (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
    ends := ((last AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
    month := 'audit_event_' || to_char(last AT TIME ZONE 'UTC', 'YYYY_MM');
    EXECUTE format('CREATE TABLE @.%I (LIKE @.audit_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', month);
    EXECUTE format('ALTER TABLE @.audit_event ATTACH PARTITION @.%I FOR VALUES FROM (%L) TO (%L)', month, @.audit_first_id(last), @.audit_first_id(ends));
    EXECUTE format('CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON @.%I FOR EACH STATEMENT EXECUTE FUNCTION @.append_only()', month);
    INSERT INTO @.audit_partition (name, from_at, to_at, sealed, last_sequence)
      SELECT month, last, ends, count(*), max(s.seq) FROM @.audit_seal s
       WHERE s.event_id >= @.audit_first_id(last) AND s.event_id < @.audit_first_id(ends);
    RETURN NEXT month;
  END LOOP;
END $$
$create$,
$create$
-- As before: drops the oldest month that is older than the retention, when every line of it is sealed and a signed checkpoint is over
-- the last. However long the month is, a handful of rows is read: its places were counted as they were given, and what may be without
-- one has an ordinal above those that the sealer has settled. With statistics of yesterday PostgreSQL would read all to find that.
CREATE OR REPLACE FUNCTION @.audit_drop_expired() RETURNS TABLE (dropped text, ends timestamptz, lines bigint, last_sequence bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '3s'
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  kept integer := (SELECT r.months FROM @.audit_retention r);
  part @.audit_partition%ROWTYPE;
  left_over bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('usher audit partitions'));
  SELECT * INTO part FROM @.audit_partition p WHERE p.dropped_at IS NULL ORDER BY p.to_at LIMIT 1;
  IF kept IS NULL OR part.name IS NULL
     OR part.to_at > (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => kept)) AT TIME ZONE 'UTC' THEN
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE @.%I IN SHARE MODE', part.name); -- nobody has written there for long; nobody will
  EXECUTE format('SELECT count(*) FROM (SELECT FROM @.%I e WHERE e.ordinal > $1 AND NOT EXISTS (SELECT FROM @.audit_seal s WHERE s.event_id = e.id) LIMIT 1000) u',
      part.name) INTO left_over USING coalesce((SELECT c.settled FROM @.audit_checkpoint c ORDER BY c.size DESC LIMIT 1), 0);
  IF left_over > 0 THEN
    RAISE EXCEPTION '% is not dropped: % lines of it are not sealed', part.name, left_over USING ERRCODE = '55000';
  END IF;
  SELECT * INTO part FROM @.audit_partition p WHERE p.name = part.name; -- a line may have got its place before the lock was there
  IF part.sealed > 0 AND NOT EXISTS (SELECT FROM @.audit_checkpoint c WHERE c.size >= part.last_sequence AND c.note IS NOT NULL) THEN
    RAISE EXCEPTION '% is not dropped: no signed checkpoint is over its last line, %', part.name, part.last_sequence USING ERRCODE = '55000';
  END IF;
  EXECUTE format('ALTER TABLE @.audit_event DETACH PARTITION @.%I', part.name);
  EXECUTE format('DROP TABLE @.%I', part.name);
  UPDATE @.audit_partition p SET dropped_at = now(), events = part.sealed WHERE p.name = part.name;
  dropped := part.name;
  ends := part.to_at;
  lines := part.sealed;
  last_sequence := part.last_sequence;
  RETURN NEXT;
END $$
$create$,
$create$
-- As before: a checkpoint ends a batch. And what it says to be settled is: nothing of it has yet to come, and all that came has its
-- place. A month is dropped by that, and it is the service that writes it.
CREATE OR REPLACE FUNCTION @.audit_checkpoint_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  before @.audit_checkpoint%ROWTYPE;
  sealed record;
BEGIN
  SELECT * INTO before FROM @.audit_checkpoint c ORDER BY c.size DESC LIMIT 1;
  SELECT count(*) AS lines, max(s.seq) AS last INTO sealed FROM @.audit_seal s WHERE s.seq > coalesce(before.size, 0);
  IF sealed.last IS DISTINCT FROM NEW.size OR sealed.lines <> NEW.size - coalesce(before.size, 0)
     OR NEW.settled < coalesce(before.settled, 0) THEN
    RAISE EXCEPTION 'a checkpoint over % lines does not follow the one over %', NEW.size, coalesce(before.size, 0) USING ERRCODE = '23514';
  END IF;
  IF NEW.settled > greatest((SELECT q.last_value FROM @.audit_event_ordinal_seq q), coalesce(before.settled, 0))
     OR EXISTS (SELECT FROM @.audit_event e WHERE e.ordinal > coalesce(before.settled, 0) AND e.ordinal <= NEW.settled
                   AND NOT EXISTS (SELECT FROM @.audit_seal s WHERE s.event_id = e.id)) THEN
    RAISE EXCEPTION 'lines up to % are not settled', NEW.settled USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$
$create$,
$create$ CREATE TRIGGER audit_seal_counts AFTER INSERT ON @.audit_seal REFERENCING NEW TABLE AS batch FOR EACH STATEMENT
  EXECUTE FUNCTION @.audit_seal_counts() $create$,
$create$ REVOKE ALL ON FUNCTION @.audit_seal_counts() FROM PUBLIC $create$]
  LOOP
    EXECUTE replace(definition, '@.', here);
  END LOOP;

  -- Up to PostgreSQL 14 everybody may create in the schema `public` of a database; since then nobody but its owner. Where it belongs
  -- to somebody else, it is theirs to say.
  BEGIN
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', current_schema());
  EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'the schema % of Usher''s state belongs to somebody else', current_schema();
  END;
END $migration$;
