-- What the logs of the servers say of connections: how far each file is read, what was found, and when nothing could be seen.

-- AlterTable
ALTER TABLE "target" ADD COLUMN     "log_format" TEXT NOT NULL DEFAULT 'stderr',
ADD COLUMN     "log_place" TEXT,
ADD COLUMN     "log_source" TEXT NOT NULL DEFAULT 'none';

-- CreateTable
CREATE TABLE "log_reader" (
    "target_id" UUID NOT NULL,
    "read_at" TIMESTAMPTZ(3),
    "tried_at" TIMESTAMPTZ(3) NOT NULL,
    "next_at" TIMESTAMPTZ(3) NOT NULL,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "problem" TEXT,

    CONSTRAINT "log_reader_pkey" PRIMARY KEY ("target_id")
);

-- CreateTable
CREATE TABLE "server_log_file" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "endpoint_id" UUID,
    "stream" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "offset" BIGINT NOT NULL DEFAULT 0,
    "within" TEXT,
    "marker" TEXT,
    "marker_offset" BIGINT NOT NULL DEFAULT 0,
    "head" TEXT,
    "head_length" INTEGER NOT NULL DEFAULT 0,
    "size" BIGINT NOT NULL DEFAULT 0,
    "complete" BOOLEAN NOT NULL DEFAULT false,
    "records" BIGINT NOT NULL DEFAULT 0,
    "foreign_lines" BIGINT NOT NULL DEFAULT 0,
    "doubtful" BIGINT NOT NULL DEFAULT 0,
    "first_read_at" TIMESTAMPTZ(3) NOT NULL,
    "last_read_at" TIMESTAMPTZ(3) NOT NULL,
    "gone_at" TIMESTAMPTZ(3),

    CONSTRAINT "server_log_file_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "server_log_event" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "endpoint_id" UUID,
    "file_id" UUID NOT NULL,
    "offset" BIGINT NOT NULL,
    "kind" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "to_the_millisecond" BOOLEAN NOT NULL,
    "pid" INTEGER NOT NULL,
    "session_id" TEXT,
    "started_at" TIMESTAMPTZ(3),
    "address" TEXT,
    "port" INTEGER,
    "login" TEXT,
    "database" TEXT,
    "details" JSONB NOT NULL,

    CONSTRAINT "server_log_event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "observation_gap" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "endpoint_id" UUID,
    "kind" TEXT NOT NULL,
    "from_at" TIMESTAMPTZ(3) NOT NULL,
    "to_at" TIMESTAMPTZ(3),
    "detail" TEXT NOT NULL,
    "recovered_at" TIMESTAMPTZ(3),

    CONSTRAINT "observation_gap_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "server_log_file_target_id_stream_idx" ON "server_log_file"("target_id", "stream");

-- CreateIndex
CREATE INDEX "server_log_event_target_id_at_idx" ON "server_log_event"("target_id", "at");

-- CreateIndex
CREATE INDEX "server_log_event_target_id_pid_at_idx" ON "server_log_event"("target_id", "pid", "at");

-- CreateIndex
CREATE UNIQUE INDEX "server_log_event_file_id_offset_key" ON "server_log_event"("file_id", "offset");

-- CreateIndex
CREATE INDEX "observation_gap_target_id_from_at_idx" ON "observation_gap"("target_id", "from_at");

-- AddForeignKey
ALTER TABLE "log_reader" ADD CONSTRAINT "log_reader_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "server_log_file" ADD CONSTRAINT "server_log_file_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "server_log_event" ADD CONSTRAINT "server_log_event_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "server_log_event" ADD CONSTRAINT "server_log_event_file_id_fkey" FOREIGN KEY ("file_id") REFERENCES "server_log_file"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "observation_gap" ADD CONSTRAINT "observation_gap_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE target
  ADD CONSTRAINT target_log_source CHECK (log_source IN ('none', 'file', 'rds', 'cloudwatch')),
  ADD CONSTRAINT target_log_format CHECK (log_format IN ('stderr', 'csv', 'json')),
  -- a path or a group where there must be one; RDS knows its own files
  ADD CONSTRAINT target_log_place CHECK ((log_source IN ('file', 'cloudwatch')) = (log_place IS NOT NULL));

ALTER TABLE log_reader
  ADD CONSTRAINT log_reader_problem CHECK ((failures > 0) = (problem IS NOT NULL) AND failures >= 0);

ALTER TABLE server_log_file
  ADD CONSTRAINT server_log_file_within CHECK (within IN ('line', 'record', 'quoted')),
  ADD CONSTRAINT server_log_file_numbers CHECK (marker_offset BETWEEN 0 AND "offset" AND size >= 0 AND head_length >= 0);
-- A name may be used again once its file is gone; while it is there it is read once.
CREATE UNIQUE INDEX server_log_file_there ON server_log_file (target_id, stream, name) WHERE gone_at IS NULL;

-- What was read stays read: of a file that is written anew, a new row begins.
CREATE FUNCTION server_log_file_moves() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW."offset" < OLD."offset" OR (NEW.id, NEW.target_id, NEW.stream) IS DISTINCT FROM (OLD.id, OLD.target_id, OLD.stream) THEN
    RAISE EXCEPTION 'a log file is read forwards, and for the target it was found on' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER server_log_file_moves BEFORE UPDATE ON server_log_file FOR EACH ROW EXECUTE FUNCTION server_log_file_moves();

ALTER TABLE server_log_event
  ADD CONSTRAINT server_log_event_kind
    CHECK (kind IN ('received', 'authenticated', 'authorized', 'disconnected', 'failed', 'statement')),
  -- only before the client has said it nobody knows
  ADD CONSTRAINT server_log_event_names CHECK (kind = 'received' OR (login IS NOT NULL AND database IS NOT NULL)),
  ADD CONSTRAINT server_log_event_details CHECK (jsonb_typeof(details) = 'object');
CREATE TRIGGER server_log_event_append_only BEFORE UPDATE OR DELETE ON server_log_event FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER server_log_event_no_truncate BEFORE TRUNCATE ON server_log_event FOR EACH STATEMENT EXECUTE FUNCTION append_only();

ALTER TABLE observation_gap
  ADD CONSTRAINT observation_gap_kind CHECK (kind IN ('log_unreadable', 'log_lost', 'log_rewritten', 'sample_missed')),
  ADD CONSTRAINT observation_gap_period CHECK (to_at >= from_at),
  ADD CONSTRAINT observation_gap_recovered CHECK (recovered_at IS NULL OR to_at IS NOT NULL);
-- One gap of a kind lasts at a time.
CREATE UNIQUE INDEX observation_gap_lasts ON observation_gap (target_id, kind, COALESCE(endpoint_id, target_id)) WHERE to_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON log_reader, server_log_file, observation_gap TO usher_app;
GRANT SELECT, INSERT ON server_log_event TO usher_app;
