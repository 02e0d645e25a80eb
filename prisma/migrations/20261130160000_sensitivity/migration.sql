-- How profiles are classified, for policies to speak of; and the newest decisions of each person, for dry runs in which everybody has a share.

-- AlterTable
ALTER TABLE "profile" ADD COLUMN     "sensitivity" TEXT NOT NULL DEFAULT 'confidential';

-- CreateIndex
CREATE INDEX "policy_decision_actor_id_id_idx" ON "policy_decision"("actor_id", "id");

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE profile
  ADD CONSTRAINT profile_sensitivity CHECK (sensitivity IN ('public', 'internal', 'confidential', 'restricted'));
