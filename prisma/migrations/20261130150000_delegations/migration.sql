-- People who let others vote in their place, votes that count no more, and services that call with tokens of their provider.

-- AlterTable
ALTER TABLE "service" ADD COLUMN     "client_id" TEXT,
ADD COLUMN     "client_issuer" TEXT,
ADD COLUMN     "client_scopes" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- AlterTable
ALTER TABLE "vote" ADD COLUMN     "delegation_id" UUID,
ADD COLUMN     "voided_at" TIMESTAMPTZ(3);

-- DropIndex
DROP INDEX "vote_request_id_person_id_plan_revision_key";

-- CreateTable
CREATE TABLE "delegation" (
    "id" UUID NOT NULL,
    "delegator_id" UUID NOT NULL,
    "delegate_id" UUID NOT NULL,
    "reason" TEXT NOT NULL,
    "starts_at" TIMESTAMPTZ(3) NOT NULL,
    "ends_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),
    "end_reason" TEXT,

    CONSTRAINT "delegation_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "delegation_delegator_id_id_idx" ON "delegation"("delegator_id", "id" DESC);

-- CreateIndex
CREATE INDEX "delegation_delegate_id_id_idx" ON "delegation"("delegate_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "delegation_id_delegate_id_key" ON "delegation"("id", "delegate_id");

-- AddForeignKey
ALTER TABLE "service" ADD CONSTRAINT "service_created_by_fkey" FOREIGN KEY ("created_by") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_created_by_fkey" FOREIGN KEY ("created_by") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "vote" ADD CONSTRAINT "vote_delegation_id_person_id_fkey" FOREIGN KEY ("delegation_id", "person_id") REFERENCES "delegation"("id", "delegate_id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "delegation" ADD CONSTRAINT "delegation_delegator_id_fkey" FOREIGN KEY ("delegator_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "delegation" ADD CONSTRAINT "delegation_delegate_id_fkey" FOREIGN KEY ("delegate_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Nobody has two votes that count for one plan; who was let act again may vote again.
CREATE UNIQUE INDEX vote_once ON vote (request_id, person_id, plan_revision) WHERE voided_at IS NULL;
-- One client of one provider is one service.
CREATE UNIQUE INDEX service_client ON service (client_issuer, client_id) WHERE removed_at IS NULL;

-- Votes of who is locked or removed by now counted no more; from now on they stay so.
UPDATE vote SET voided_at = clock_timestamp() FROM person, request
 WHERE person.id = vote.person_id AND (person.locked OR person.removed_at IS NOT NULL)
   AND request.id = vote.request_id AND request.state = 'pending';

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE delegation
  ADD CONSTRAINT delegation_of_two CHECK (delegator_id <> delegate_id),
  ADD CONSTRAINT delegation_period CHECK (ends_at > starts_at AND ends_at <= starts_at + interval '366 days'),
  ADD CONSTRAINT delegation_ended CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
  ADD CONSTRAINT delegation_reason CHECK (char_length(reason) BETWEEN 1 AND 1000);
ALTER TABLE service
  ADD CONSTRAINT service_client CHECK ((client_issuer IS NULL) = (client_id IS NULL) AND (client_id IS NULL) = (cardinality(client_scopes) = 0));

-- Who lets whom vote for how long is never changed, but for its end, which only comes nearer, once.
CREATE FUNCTION delegation_ends_once() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.ended_at IS NOT NULL THEN
    RAISE EXCEPTION 'a delegation that has ended stays as it is' USING ERRCODE = '23514';
  END IF;
  IF (NEW.id, NEW.delegator_id, NEW.delegate_id, NEW.reason, NEW.starts_at, NEW.ends_at, NEW.created_at)
     IS DISTINCT FROM (OLD.id, OLD.delegator_id, OLD.delegate_id, OLD.reason, OLD.starts_at, OLD.ends_at, OLD.created_at) THEN
    RAISE EXCEPTION 'what was delegated is never changed' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER delegation_ends_once BEFORE UPDATE ON delegation FOR EACH ROW EXECUTE FUNCTION delegation_ends_once();

-- That the delegate gives the vote says the foreign key.
CREATE FUNCTION vote_by_delegation() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  fits boolean;
BEGIN
  EXECUTE format('SELECT d.ended_at IS NULL AND d.starts_at <= $3 AND d.ends_at > $3 AND r.person_id NOT IN (d.delegator_id, d.delegate_id)
                  FROM %1$I.delegation d, %1$I.request r WHERE d.id = $1 AND r.id = $2', TG_TABLE_SCHEMA)
    INTO fits USING NEW.delegation_id, NEW.request_id, NEW.created_at;
  IF fits IS NOT TRUE THEN
    RAISE EXCEPTION 'nobody votes by a delegation that is over, or on what one of its two asked for' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER vote_by_delegation BEFORE INSERT ON vote FOR EACH ROW
  WHEN (NEW.delegation_id IS NOT NULL) EXECUTE FUNCTION vote_by_delegation();

-- A vote that counts no more never counts again, and one by which something was decided stays.
CREATE FUNCTION vote_voids_once() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  waits boolean;
BEGIN
  EXECUTE format('SELECT state = ''pending'' FROM %I.request WHERE id = $1', TG_TABLE_SCHEMA) INTO waits USING NEW.request_id;
  IF OLD.voided_at IS NOT NULL OR NEW.voided_at IS NULL OR waits IS NOT TRUE
     OR (NEW.id, NEW.request_id, NEW.person_id, NEW.verdict, NEW.plan_revision, NEW.stage, NEW.comment, NEW.created_at, NEW.delegation_id)
        IS DISTINCT FROM (OLD.id, OLD.request_id, OLD.person_id, OLD.verdict, OLD.plan_revision, OLD.stage, OLD.comment, OLD.created_at, OLD.delegation_id) THEN
    RAISE EXCEPTION 'a vote is only ever voided, once, and while its request waits' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER vote_voids_once BEFORE UPDATE ON vote FOR EACH ROW EXECUTE FUNCTION vote_voids_once();

GRANT SELECT, INSERT ON delegation TO usher_app;
-- who, whom and for how long are not the application's to change
GRANT UPDATE (ended_at, end_reason) ON delegation TO usher_app;
GRANT UPDATE (voided_at) ON vote TO usher_app;
