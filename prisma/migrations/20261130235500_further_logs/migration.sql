-- The logs of the other servers of a target: each server writes its own.

-- AlterTable
ALTER TABLE "target" ADD COLUMN     "further_logs" JSONB NOT NULL DEFAULT '[]';

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE target
  ADD CONSTRAINT target_further_logs CHECK (jsonb_typeof(further_logs) = 'array' AND (log_source <> 'none' OR further_logs = '[]'));
