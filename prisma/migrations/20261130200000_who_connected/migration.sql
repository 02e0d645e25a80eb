-- Sessions with the evidence of whose they are, what about them should be looked at, and who looks where.

-- AlterTable
ALTER TABLE "connection" ADD COLUMN     "auth_method" TEXT,
ADD COLUMN     "grade" TEXT NOT NULL DEFAULT 'observed',
ADD COLUMN     "logged_at" TIMESTAMPTZ(3),
ADD COLUMN     "login_kind" TEXT NOT NULL DEFAULT 'unknown',
ADD COLUMN     "mint_id" UUID,
ADD COLUMN     "observed" BOOLEAN NOT NULL DEFAULT true,
ADD COLUMN     "started_at" TIMESTAMPTZ(3),
ALTER COLUMN "tls" DROP NOT NULL;
-- what stands there is by the target's clock; nothing begins after it was seen
UPDATE "connection" SET "started_at" = least("backend_start", "first_seen_at"), "ended_at" = CASE WHEN "ended_at" IS NOT NULL THEN greatest("ended_at", "last_seen_at") END,
       "login_kind" = CASE WHEN "person_id" IS NULL AND "grant_id" IS NULL THEN 'unknown' ELSE 'person' END;
ALTER TABLE "connection" ALTER COLUMN "started_at" SET NOT NULL;

-- CreateTable
CREATE TABLE "connection_flag" (
    "connection_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "raised_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "connection_flag_pkey" PRIMARY KEY ("connection_id","kind")
);

-- CreateTable
CREATE TABLE "endpoint_look" (
    "endpoint_id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "looked_at" TIMESTAMPTZ(3),
    "failing_since" TIMESTAMPTZ(3),
    "failure" TEXT,
    "server_started_at" TIMESTAMPTZ(6),
    "clock_ahead_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "same_as" UUID,
    "held_by" UUID,
    "held_until" TIMESTAMPTZ(3),

    CONSTRAINT "endpoint_look_pkey" PRIMARY KEY ("endpoint_id")
);

-- CreateTable
CREATE TABLE "connection_log_cursor" (
    "target_id" UUID NOT NULL,
    "event_id" UUID NOT NULL,

    CONSTRAINT "connection_log_cursor_pkey" PRIMARY KEY ("target_id")
);

-- CreateTable
CREATE TABLE "watcher" (
    "id" UUID NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "watcher_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "connection_flag_kind_connection_id_idx" ON "connection_flag"("kind", "connection_id" DESC);

-- CreateIndex
CREATE INDEX "connection_flag_raised_at_idx" ON "connection_flag"("raised_at");

-- CreateIndex
CREATE INDEX "endpoint_look_target_id_idx" ON "endpoint_look"("target_id");

-- CreateIndex
CREATE INDEX "connection_target_id_started_at_idx" ON "connection"("target_id", "started_at");

-- CreateIndex
CREATE INDEX "connection_person_id_client_address_idx" ON "connection"("person_id", "client_address");

-- AddForeignKey
ALTER TABLE "connection_flag" ADD CONSTRAINT "connection_flag_connection_id_fkey" FOREIGN KEY ("connection_id") REFERENCES "connection"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What is still there is compared at each look.
CREATE INDEX connection_open_at ON connection (endpoint_id) WHERE ended_at IS NULL;
-- What a log says of a process is tied to its session.
CREATE INDEX connection_of_process ON connection (target_id, pid, backend_start);
-- Who was there at a moment, or within a time: however long the history is.
CREATE INDEX connection_period ON connection USING gist (tstzrange(started_at, ended_at, '[]'));

-- What was read of a log since it was last tied.
CREATE INDEX server_log_event_next ON server_log_event (target_id, id);
-- Failed logins are few among all that a log tells.
CREATE INDEX server_log_event_failed ON server_log_event (id DESC) WHERE kind = 'failed';
-- Whose a session may be, however many grants a target has had.
CREATE INDEX grant_of_login ON access_grant (target_id, login, id DESC);

-- Each session with when it was last seen: of one that is there, the last look at its endpoint says so.
CREATE VIEW connection_seen AS
  SELECT c.id, c.target_id, c.person_id, c.grant_id, c.started_at, CASE WHEN c.ended_at IS NULL AND c.observed THEN greatest(c.last_seen_at, l.looked_at) ELSE c.last_seen_at END AS at
    FROM connection c LEFT JOIN endpoint_look l ON l.endpoint_id = c.endpoint_id;

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE connection
  ADD CONSTRAINT connection_login_kind CHECK (login_kind IN ('person', 'administrator', 'unknown')),
  ADD CONSTRAINT connection_grade CHECK (grade IN ('logged', 'observed', 'inferred')),
  ADD CONSTRAINT connection_owner CHECK (login_kind = 'person' OR (person_id IS NULL AND grant_id IS NULL)),
  ADD CONSTRAINT connection_mint CHECK (mint_id IS NULL OR grant_id IS NOT NULL),
  ADD CONSTRAINT connection_logged CHECK ((grade <> 'logged' AND observed) OR logged_at IS NOT NULL),
  ADD CONSTRAINT connection_times CHECK (started_at <= last_seen_at AND last_seen_at <= coalesce(ended_at, last_seen_at));
ALTER TABLE connection_flag ADD CONSTRAINT connection_flag_kind CHECK (kind IN
  ('no_grant', 'no_mint', 'password_for_token', 'no_tls', 'old_tls', 'unknown_login', 'administrator', 'new_address', 'outlived'));
ALTER TABLE endpoint_look
  ADD CONSTRAINT endpoint_look_failure CHECK ((failing_since IS NULL) = (failure IS NULL)),
  ADD CONSTRAINT endpoint_look_held CHECK ((held_by IS NULL) = (held_until IS NULL));

-- Whose session it was, and under which grant, is said once; a log that is read later may add what it knows.
CREATE FUNCTION connection_keeps() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (NEW.target_id, NEW.endpoint_id, NEW.pid, NEW.backend_start, NEW.login, NEW.person_id)
     IS DISTINCT FROM (OLD.target_id, OLD.endpoint_id, OLD.pid, OLD.backend_start, OLD.login, OLD.person_id)
     OR (OLD.grant_id IS NOT NULL AND NEW.grant_id IS DISTINCT FROM OLD.grant_id)
     OR (OLD.ended_at IS NOT NULL AND NEW.ended_at IS NULL) THEN
    RAISE EXCEPTION 'whose session it was is never changed' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER connection_keeps BEFORE UPDATE ON connection FOR EACH ROW EXECUTE FUNCTION connection_keeps();

CREATE TRIGGER connection_flag_append_only BEFORE UPDATE OR DELETE ON connection_flag FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER connection_flag_no_truncate BEFORE TRUNCATE ON connection_flag FOR EACH STATEMENT EXECUTE FUNCTION append_only();

GRANT SELECT ON connection_seen TO usher_app;
GRANT SELECT, INSERT ON connection_flag TO usher_app;
GRANT SELECT, INSERT, UPDATE ON endpoint_look, connection_log_cursor TO usher_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON watcher TO usher_app;
