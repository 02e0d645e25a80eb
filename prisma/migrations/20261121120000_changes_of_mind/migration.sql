-- Extensions, renewed plans, what a plan promised, people and targets that leave, and what a look for drift found.

-- CreateEnum
CREATE TYPE "RequestKind" AS ENUM ('open', 'extend');

-- DropIndex
DROP INDEX "vote_request_id_person_id_key";

-- AlterTable
ALTER TABLE "access_grant" ADD COLUMN     "connection_limit" INTEGER,
ADD COLUMN     "groups" TEXT[];

-- what lives was shown the profile as it stands: it could not be changed until now
UPDATE "access_grant" g SET "groups" = p."groups", "connection_limit" = p."connection_limit" FROM "profile" p WHERE p."id" = g."profile_id";
ALTER TABLE "access_grant" ALTER COLUMN "connection_limit" SET NOT NULL;

-- AlterTable
ALTER TABLE "person" ADD COLUMN     "removed_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "profile" ADD COLUMN     "creates_roles" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "manages_passwords" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "request" ADD COLUMN     "close_reason" TEXT,
ADD COLUMN     "extends_id" UUID,
ADD COLUMN     "kind" "RequestKind" NOT NULL DEFAULT 'open',
ADD COLUMN     "plan_revision" INTEGER NOT NULL DEFAULT 1,
ADD COLUMN     "replaces_id" UUID,
ALTER COLUMN "grant_id" DROP NOT NULL;

-- AlterTable
ALTER TABLE "target" ADD COLUMN     "dials" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "down_since" TIMESTAMPTZ(3),
ADD COLUMN     "looked_at" TIMESTAMPTZ(3),
ADD COLUMN     "next_dial_at" TIMESTAMPTZ(3),
ADD COLUMN     "removing_at" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "vote" ADD COLUMN     "plan_revision" INTEGER NOT NULL DEFAULT 1;

-- CreateTable
CREATE TABLE "drift_finding" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "details" JSONB NOT NULL,
    "found_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "resolved_at" TIMESTAMPTZ(3),
    "resolution" TEXT,

    CONSTRAINT "drift_finding_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "drift_finding_target_id_id_idx" ON "drift_finding"("target_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "request_replaces_id_key" ON "request"("replaces_id");

-- CreateIndex
CREATE UNIQUE INDEX "vote_request_id_person_id_plan_revision_key" ON "vote"("request_id", "person_id", "plan_revision");

-- AddForeignKey
ALTER TABLE "request" ADD CONSTRAINT "request_extends_id_fkey" FOREIGN KEY ("extends_id") REFERENCES "access_grant"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "request" ADD CONSTRAINT "request_replaces_id_fkey" FOREIGN KEY ("replaces_id") REFERENCES "request"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "drift_finding" ADD CONSTRAINT "drift_finding_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE request
  ADD CONSTRAINT request_kind CHECK ((kind = 'extend') = (extends_id IS NOT NULL) AND (kind = 'open') = (grant_id IS NOT NULL)),
  ADD CONSTRAINT request_revision CHECK (plan_revision >= 1),
  ADD CONSTRAINT request_close_reason CHECK (close_reason IS NULL OR state IN ('cancelled', 'expired'));
ALTER TABLE profile
  ADD CONSTRAINT profile_creates_roles CHECK (manages_passwords OR NOT creates_roles),
  ADD CONSTRAINT profile_manages_passwords CHECK (NOT manages_passwords OR (approvals_needed >= 1 AND groups = '{rds_password}'));
-- A person's login for passwords is the name with _pw behind it: it must fit, and be nobody else's name.
ALTER TABLE login_name ADD CONSTRAINT login_name_room CHECK (octet_length(name) <= 60 AND name !~ '_pw$') NOT VALID;
ALTER TABLE drift_finding
  ADD CONSTRAINT drift_finding_resolved CHECK ((resolved_at IS NULL) = (resolution IS NULL));
CREATE UNIQUE INDEX drift_finding_open ON drift_finding (target_id, kind, subject) WHERE resolved_at IS NULL;

-- One extension at a time: two that were agreed to at once would not say to which end.
CREATE UNIQUE INDEX request_one_extension ON request (extends_id) WHERE state = 'pending' AND kind = 'extend';

-- Due work is found in O(due): also while thousands of grants wait for targets that are down, each with its next try ahead.
DROP INDEX grant_due_start;
DROP INDEX grant_due_end;
CREATE INDEX grant_starts ON access_grant (starts_at) WHERE state = 'scheduled';
CREATE INDEX grant_ends ON access_grant (ends_at) WHERE state IN ('scheduled', 'opening', 'active');
CREATE INDEX grant_waits ON access_grant (coalesce(next_attempt_at, '-infinity')) WHERE state IN ('opening', 'closing');
CREATE INDEX grant_moved ON access_grant (next_attempt_at) WHERE state = 'active' AND next_attempt_at IS NOT NULL;
CREATE INDEX target_removing ON target (id) WHERE removing_at IS NOT NULL AND deleted_at IS NULL;

CREATE OR REPLACE FUNCTION grant_moves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state NOT IN ('scheduled', 'opening') THEN
      RAISE EXCEPTION 'a grant begins as scheduled or opening, not %', NEW.state USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.request_id, NEW.target_id, NEW.profile_id, NEW.person_id, NEW.login, NEW.database, NEW.guard_profile, NEW.groups, NEW.connection_limit, NEW.method, NEW.mode, NEW.principal_arn)
     IS DISTINCT FROM (OLD.request_id, OLD.target_id, OLD.profile_id, OLD.person_id, OLD.login, OLD.database, OLD.guard_profile, OLD.groups, OLD.connection_limit, OLD.method, OLD.mode, OLD.principal_arn) THEN
    RAISE EXCEPTION 'what a grant gives to whom is never changed' USING ERRCODE = '23514';
  END IF;
  -- an end that was reached stays: nothing that is being ended is given more time
  IF NEW.ends_at IS DISTINCT FROM OLD.ends_at AND OLD.state NOT IN ('scheduled', 'opening', 'active') THEN
    RAISE EXCEPTION 'the end of a grant that is % is not moved', OLD.state USING ERRCODE = '23514';
  END IF;
  IF NEW.state IS DISTINCT FROM OLD.state THEN
    EXECUTE format('INSERT INTO %I.grant_history (grant_id, from_state, to_state) VALUES ($1, $2, $3)', TG_TABLE_SCHEMA)
      USING NEW.id, OLD.state, NEW.state;
    PERFORM pg_notify('usher_grant', NEW.id::text); -- wakes those who wait for it; heard only if this commits
  END IF;
  RETURN NEW;
END $$;

GRANT SELECT, INSERT, UPDATE ON drift_finding TO usher_app;
