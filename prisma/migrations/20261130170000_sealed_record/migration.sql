-- The record, sealed: an order without gaps, a Merkle tree over it, and signed checkpoints (docs/adr/0024). Lines are written as
-- before; whatever seals them comes after, and locks none of them.

-- A transaction has its number before it draws an ordinal: one that began when all of smaller numbers are over can only draw later.
CREATE SEQUENCE audit_event_ordinal_seq AS BIGINT CACHE 1;
-- AlterTable
ALTER TABLE "audit_event" ADD COLUMN     "ordinal" BIGINT NOT NULL
  DEFAULT nextval(CASE WHEN pg_current_xact_id() IS NOT NULL THEN 'audit_event_ordinal_seq'::regclass END);

-- CreateTable
CREATE TABLE "audit_seal" (
    "seq" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "leaf" BYTEA NOT NULL,

    CONSTRAINT "audit_seal_pkey" PRIMARY KEY ("seq")
);

-- CreateTable
CREATE TABLE "audit_node" (
    "level" SMALLINT NOT NULL,
    "index" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "audit_node_pkey" PRIMARY KEY ("level","index")
);

-- CreateTable
CREATE TABLE "audit_checkpoint" (
    "size" BIGINT NOT NULL,
    "root" BYTEA NOT NULL,
    "settled" BIGINT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "note" TEXT,

    CONSTRAINT "audit_checkpoint_pkey" PRIMARY KEY ("size")
);

-- CreateTable
CREATE TABLE "audit_person_key" (
    "person_id" UUID NOT NULL,
    "key" BYTEA NOT NULL,

    CONSTRAINT "audit_person_key_pkey" PRIMARY KEY ("person_id")
);

-- CreateTable
CREATE TABLE "audit_redaction" (
    "event_id" UUID NOT NULL,
    "part" TEXT NOT NULL,
    "person_id" UUID NOT NULL,
    "commitment" BYTEA NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "audit_redaction_pkey" PRIMARY KEY ("event_id","part")
);

-- CreateIndex
CREATE UNIQUE INDEX "audit_seal_event_id_key" ON "audit_seal"("event_id");

-- CreateIndex
CREATE INDEX "audit_redaction_person_id_idx" ON "audit_redaction"("person_id");

-- CreateIndex
CREATE INDEX "audit_event_ordinal_idx" ON "audit_event"("ordinal");

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE audit_seal
  ADD CONSTRAINT audit_seal_seq CHECK (seq >= 1),
  ADD CONSTRAINT audit_seal_leaf CHECK (octet_length(leaf) = 32);
ALTER TABLE audit_node
  ADD CONSTRAINT audit_node_place CHECK (level > 0 AND level % 8 = 0 AND index >= 0),
  ADD CONSTRAINT audit_node_hash CHECK (octet_length(hash) = 32);
ALTER TABLE audit_checkpoint
  ADD CONSTRAINT audit_checkpoint_size CHECK (size >= 1 AND settled >= 0),
  ADD CONSTRAINT audit_checkpoint_root CHECK (octet_length(root) = 32);
ALTER TABLE audit_person_key
  ADD CONSTRAINT audit_person_key_length CHECK (octet_length(key) = 32);
ALTER TABLE audit_redaction
  ADD CONSTRAINT audit_redaction_part CHECK (part IN ('actor', 'details')),
  ADD CONSTRAINT audit_redaction_commitment CHECK (octet_length(commitment) = 32);

-- A checkpoint ends a batch: all of it is there, nothing beyond it, and it follows the one before. Two that seal at once could
-- not both pass, whatever they believe.
CREATE FUNCTION audit_checkpoint_follows() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  before record;
  sealed record;
BEGIN
  EXECUTE format('SELECT size, settled FROM %I.audit_checkpoint ORDER BY size DESC LIMIT 1', TG_TABLE_SCHEMA) INTO before;
  EXECUTE format('SELECT count(*) AS lines, max(seq) AS last FROM %I.audit_seal WHERE seq > $1', TG_TABLE_SCHEMA)
    INTO sealed USING coalesce(before.size, 0);
  IF sealed.last IS DISTINCT FROM NEW.size OR sealed.lines <> NEW.size - coalesce(before.size, 0)
     OR NEW.settled < coalesce(before.settled, 0) THEN
    RAISE EXCEPTION 'a checkpoint over % lines does not follow the one over %', NEW.size, coalesce(before.size, 0) USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER audit_checkpoint_follows BEFORE INSERT ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_follows();

CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE ON audit_seal FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_seal_no_truncate BEFORE TRUNCATE ON audit_seal FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_node_append_only BEFORE UPDATE OR DELETE ON audit_node FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_node_no_truncate BEFORE TRUNCATE ON audit_node FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_checkpoint_no_truncate BEFORE TRUNCATE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_redaction_append_only BEFORE UPDATE OR DELETE ON audit_redaction FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_redaction_no_truncate BEFORE TRUNCATE ON audit_redaction FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_person_key_no_update BEFORE UPDATE ON audit_person_key FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_person_key_no_truncate BEFORE TRUNCATE ON audit_person_key FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- A line changes in one way only: fields whose commitment was kept are taken out of it. All else stays to the letter.
CREATE FUNCTION audit_event_redacts() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  parts text[];
  kept boolean;
BEGIN
  EXECUTE format('SELECT array_agg(part) FROM %I.audit_redaction WHERE event_id = $1', TG_ARGV[0]) INTO parts USING OLD.id;
  kept := (NEW.id, NEW.at, NEW.actor_kind, NEW.actor_id, NEW.via_service_id, NEW.via_name, NEW.subject_id, NEW.action, NEW.outcome,
           NEW.target_id, NEW.request_id, NEW.grant_id, NEW.code, NEW.correlation_id, NEW.ordinal)
    IS NOT DISTINCT FROM
          (OLD.id, OLD.at, OLD.actor_kind, OLD.actor_id, OLD.via_service_id, OLD.via_name, OLD.subject_id, OLD.action, OLD.outcome,
           OLD.target_id, OLD.request_id, OLD.grant_id, OLD.code, OLD.correlation_id, OLD.ordinal);
  IF kept AND parts IS NOT NULL
     AND (NEW.details = CASE WHEN 'details' = ANY (parts) THEN '{}'::jsonb ELSE OLD.details END)
     AND (NEW.actor_name = CASE WHEN 'actor' = ANY (parts) THEN '[redacted]' ELSE OLD.actor_name END)
     AND (NEW.address IS NOT DISTINCT FROM CASE WHEN 'actor' = ANY (parts) THEN NULL ELSE OLD.address END) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% is append only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;
DROP TRIGGER audit_event_append_only ON audit_event;
CREATE TRIGGER audit_event_append_only BEFORE DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION append_only();
DO $$
BEGIN
  -- the schema is named: a partition of the table may stand elsewhere
  EXECUTE format('CREATE TRIGGER audit_event_redacts BEFORE UPDATE ON audit_event FOR EACH ROW EXECUTE FUNCTION audit_event_redacts(%L)', current_schema());
END $$;

---------------------------------------------------------------------------------------------------------- the rights
GRANT SELECT, INSERT ON audit_seal, audit_node, audit_checkpoint, audit_person_key TO usher_app;
GRANT SELECT ON audit_redaction TO usher_app;
GRANT USAGE, SELECT ON SEQUENCE audit_event_ordinal_seq TO usher_app;
