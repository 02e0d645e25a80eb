-- Since when a person is locked, and why: whoever unlocks should know.

-- AlterTable
ALTER TABLE "person" ADD COLUMN     "locked_at" TIMESTAMPTZ(3),
ADD COLUMN     "lock_reason" TEXT;
