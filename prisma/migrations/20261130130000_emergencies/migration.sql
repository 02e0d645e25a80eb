-- Targets that are stopped, access that was had by breaking the glass, and somebody else's look at it afterwards.

-- AlterTable
ALTER TABLE "request" ADD COLUMN     "break_glass" BOOLEAN NOT NULL DEFAULT false;

-- AlterTable
ALTER TABLE "target" ADD COLUMN     "lock_reason" TEXT,
ADD COLUMN     "locked_at" TIMESTAMPTZ(3);

-- CreateTable
CREATE TABLE "break_glass_review" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "person_id" UUID NOT NULL,
    "opened_at" TIMESTAMPTZ(3) NOT NULL,
    "closed_by" UUID,
    "comment" TEXT,
    "closed_at" TIMESTAMPTZ(3),

    CONSTRAINT "break_glass_review_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "break_glass_review_target_id_id_idx" ON "break_glass_review"("target_id", "id" DESC);

-- CreateIndex
CREATE INDEX "break_glass_review_person_id_id_idx" ON "break_glass_review"("person_id", "id" DESC);

-- AddForeignKey
ALTER TABLE "break_glass_review" ADD CONSTRAINT "break_glass_review_id_fkey" FOREIGN KEY ("id") REFERENCES "access_grant"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "break_glass_review" ADD CONSTRAINT "break_glass_review_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "break_glass_review" ADD CONSTRAINT "break_glass_review_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "break_glass_review" ADD CONSTRAINT "break_glass_review_closed_by_fkey" FOREIGN KEY ("closed_by") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;


------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE target
  ADD CONSTRAINT target_locked CHECK ((locked_at IS NULL) = (lock_reason IS NULL));
-- Opened at once and by nobody's yes: one that waits would be an ordinary request.
ALTER TABLE request
  ADD CONSTRAINT request_break_glass CHECK (NOT break_glass OR (kind = 'open' AND state = 'approved' AND approvals_needed = 0 AND starts_at IS NULL));
ALTER TABLE break_glass_review
  ADD CONSTRAINT review_not_by_holder CHECK (closed_by <> person_id),
  ADD CONSTRAINT review_closed CHECK ((closed_by IS NULL) = (closed_at IS NULL) AND (comment IS NULL) = (closed_at IS NULL)),
  ADD CONSTRAINT review_comment CHECK (char_length(comment) BETWEEN 1 AND 1000);

CREATE INDEX break_glass_review_open ON break_glass_review (id DESC) WHERE closed_at IS NULL;
CREATE INDEX grant_active ON access_grant (id DESC) WHERE state = 'active';

-- Otherwise a grant would lose its review, or an agreed one would seem to have been an emergency.
CREATE FUNCTION break_glass_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'whether the glass was broken is never changed' USING ERRCODE = '23514';
END $$;
CREATE TRIGGER request_break_glass_stays BEFORE UPDATE ON request FOR EACH ROW
  WHEN (NEW.break_glass IS DISTINCT FROM OLD.break_glass) EXECUTE FUNCTION break_glass_stays();

-- Runs with the owner's rights: the application cannot begin a review, nor a grant of this kind without one.
CREATE FUNCTION break_glass_begins() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('INSERT INTO %1$I.break_glass_review (id, target_id, person_id, opened_at)
                  SELECT $1, $2, $3, $4 FROM %1$I.request WHERE id = $5 AND break_glass', TG_TABLE_SCHEMA)
    USING NEW.id, NEW.target_id, NEW.person_id, NEW.created_at, NEW.request_id;
  RETURN NULL;
END $$;
CREATE TRIGGER break_glass_begins AFTER INSERT ON access_grant FOR EACH ROW EXECUTE FUNCTION break_glass_begins();

CREATE FUNCTION review_closes_once() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.closed_at IS NOT NULL THEN
    RAISE EXCEPTION 'a review that is closed stays as it is' USING ERRCODE = '23514';
  END IF;
  IF (NEW.id, NEW.target_id, NEW.person_id, NEW.opened_at) IS DISTINCT FROM (OLD.id, OLD.target_id, OLD.person_id, OLD.opened_at) THEN
    RAISE EXCEPTION 'what a review is about is never changed' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER review_closes_once BEFORE UPDATE ON break_glass_review FOR EACH ROW EXECUTE FUNCTION review_closes_once();

GRANT SELECT, UPDATE ON break_glass_review TO usher_app;
