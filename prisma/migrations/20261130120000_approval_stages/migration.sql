-- Who must agree in which order, the stage of each vote, and requests that their requester changes while they wait.

-- AlterTable
ALTER TABLE "profile" ADD COLUMN     "approval_stages" JSONB NOT NULL DEFAULT '[]';

-- AlterTable
ALTER TABLE "request" ADD COLUMN     "approver_groups" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "approver_people" UUID[] DEFAULT ARRAY[]::UUID[],
ADD COLUMN     "edited_at" TIMESTAMPTZ(3),
ADD COLUMN     "stages" JSONB NOT NULL DEFAULT '[]';

-- AlterTable
ALTER TABLE "vote" ADD COLUMN     "stage" INTEGER NOT NULL DEFAULT 1;

-- CreateIndex
CREATE INDEX "request_approver_groups_idx" ON "request" USING GIN ("approver_groups");

-- CreateIndex
CREATE INDEX "request_approver_people_idx" ON "request" USING GIN ("approver_people");

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE profile
  ADD CONSTRAINT profile_stages CHECK (CASE jsonb_typeof(approval_stages) WHEN 'array' THEN jsonb_array_length(approval_stages) <= 5 ELSE false END);
-- one more than a profile has: the owners, where more people must agree than its stages name
ALTER TABLE request
  ADD CONSTRAINT request_stages CHECK (CASE jsonb_typeof(stages) WHEN 'array' THEN jsonb_array_length(stages) <= 6 ELSE false END);
ALTER TABLE vote
  ADD CONSTRAINT vote_stage CHECK (stage BETWEEN 1 AND 6);

-- A vote is for a revision of the plan: whatever of it changes makes another revision, so that no vote is taken along. What was
-- decided is not changed at all.
CREATE FUNCTION request_promise() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (NEW.plan, NEW.stages, NEW.approver_groups, NEW.approver_people, NEW.approvals_needed, NEW.duration_minutes, NEW.starts_at, NEW.reason, NEW.ticket)
     IS NOT DISTINCT FROM (OLD.plan, OLD.stages, OLD.approver_groups, OLD.approver_people, OLD.approvals_needed, OLD.duration_minutes, OLD.starts_at, OLD.reason, OLD.ticket) THEN
    RETURN NEW;
  END IF;
  IF OLD.state <> 'pending' THEN
    RAISE EXCEPTION 'what was asked for is not changed once it is %', OLD.state USING ERRCODE = '23514';
  END IF;
  IF NEW.plan_revision <= OLD.plan_revision THEN
    RAISE EXCEPTION 'another plan is another revision' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER request_promise BEFORE UPDATE ON request FOR EACH ROW EXECUTE FUNCTION request_promise();
