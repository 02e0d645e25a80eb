-- Policy as text: every version that was ever written, which of them ruled since when, and the last questions that policy
-- was asked, so that another policy can be tried on them.

-- CreateEnum
CREATE TYPE "PolicyActivationReason" AS ENUM ('activation', 'rollback');

-- CreateTable
CREATE TABLE "policy_version" (
    "id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "author_id" UUID NOT NULL,
    "note" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "policy_version_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "policy_activation" (
    "id" BIGSERIAL NOT NULL,
    "version_id" UUID,
    "activated_by_id" UUID NOT NULL,
    "reason" "PolicyActivationReason" NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "policy_activation_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "policy_decision" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "actor_id" UUID NOT NULL,
    "actor_name" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "question" JSONB NOT NULL,
    "allowed" BOOLEAN NOT NULL,
    "approvals" INTEGER NOT NULL,
    "policies" TEXT[],
    "policy_sha256" TEXT NOT NULL,

    CONSTRAINT "policy_decision_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "policy_version_number_key" ON "policy_version"("number");

-- CreateIndex
CREATE INDEX "policy_activation_version_id_idx" ON "policy_activation"("version_id");

-- AddForeignKey
ALTER TABLE "policy_version" ADD CONSTRAINT "policy_version_author_id_fkey" FOREIGN KEY ("author_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "policy_activation" ADD CONSTRAINT "policy_activation_version_id_fkey" FOREIGN KEY ("version_id") REFERENCES "policy_version"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "policy_activation" ADD CONSTRAINT "policy_activation_activated_by_id_fkey" FOREIGN KEY ("activated_by_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE policy_version
  ADD CONSTRAINT policy_version_number CHECK (number >= 1),
  ADD CONSTRAINT policy_version_size CHECK (octet_length(text) BETWEEN 1 AND 65536),
  ADD CONSTRAINT policy_version_note CHECK (char_length(note) BETWEEN 1 AND 1000),
  -- what rules is what the hash is of
  ADD CONSTRAINT policy_version_hash CHECK (sha256 = encode(sha256(convert_to(text, 'UTF8')), 'hex'));
ALTER TABLE policy_activation
  -- what is shipped is no version: one only ever goes back to it
  ADD CONSTRAINT policy_activation_shipped CHECK (version_id IS NOT NULL OR reason = 'rollback');

CREATE TRIGGER policy_version_append_only BEFORE UPDATE OR DELETE ON policy_version FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER policy_version_no_truncate BEFORE TRUNCATE ON policy_version FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER policy_activation_append_only BEFORE UPDATE OR DELETE ON policy_activation FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER policy_activation_no_truncate BEFORE TRUNCATE ON policy_activation FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- every process takes it over at once; heard only if this commits
CREATE FUNCTION policy_activated() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_notify('usher_policy', 'active');
  RETURN NULL;
END $$;
CREATE TRIGGER policy_activated AFTER INSERT ON policy_activation FOR EACH ROW EXECUTE FUNCTION policy_activated();

---------------------------------------------------------------------------------------------------------- the rights
GRANT SELECT, INSERT ON policy_version, policy_activation TO usher_app;
-- no record, only what dry runs are made on: the oldest go
GRANT SELECT, INSERT, DELETE ON policy_decision TO usher_app;
GRANT USAGE ON SEQUENCE policy_activation_id_seq, policy_decision_id_seq TO usher_app;
