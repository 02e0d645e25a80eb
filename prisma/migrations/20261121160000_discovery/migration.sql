-- What discovery saw of the AWS accounts, and its runs.

-- CreateTable
CREATE TABLE "discovery_run" (
    "id" UUID NOT NULL,
    "requested_by" TEXT NOT NULL,
    "tags" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "discovery_run_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "discovery_place" (
    "id" UUID NOT NULL,
    "run_id" UUID NOT NULL,
    "partition" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "region" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "databases" INTEGER NOT NULL DEFAULT 0,
    "added" INTEGER NOT NULL DEFAULT 0,
    "changed" INTEGER NOT NULL DEFAULT 0,
    "missing" INTEGER NOT NULL DEFAULT 0,
    "error" TEXT,
    "started_at" TIMESTAMPTZ(3),
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "discovery_place_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "discovered_database" (
    "id" UUID NOT NULL,
    "partition" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "region" TEXT NOT NULL,
    "resource_id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "identifier" TEXT NOT NULL,
    "facts" JSONB NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "found_at" TIMESTAMPTZ(3) NOT NULL,
    "changed_at" TIMESTAMPTZ(3) NOT NULL,
    "missing_since" TIMESTAMPTZ(3),

    CONSTRAINT "discovered_database_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "discovery_place_run_id_idx" ON "discovery_place"("run_id");

-- CreateIndex
CREATE INDEX "discovery_place_partition_account_id_region_finished_at_idx" ON "discovery_place"("partition", "account_id", "region", "finished_at");

-- CreateIndex
CREATE UNIQUE INDEX "discovered_database_partition_account_id_region_resource_id_key" ON "discovered_database"("partition", "account_id", "region", "resource_id");

-- CreateIndex
CREATE INDEX "discovered_database_partition_account_id_region_identifier_idx" ON "discovered_database"("partition", "account_id", "region", "identifier");

-- AddForeignKey
ALTER TABLE "discovery_place" ADD CONSTRAINT "discovery_place_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "discovery_run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE discovery_place
  ADD CONSTRAINT discovery_place_state CHECK (state IN ('waiting', 'running', 'done', 'failed')),
  -- a look that failed says why, and one that ended says when
  ADD CONSTRAINT discovery_place_error CHECK ((state = 'failed') = (error IS NOT NULL)),
  ADD CONSTRAINT discovery_place_end CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL));

ALTER TABLE discovered_database
  ADD CONSTRAINT discovered_database_facts CHECK (jsonb_typeof(facts) = 'object'),
  ADD CONSTRAINT discovered_database_kind CHECK (kind IN ('aurora-cluster', 'rds-instance', 'rds-proxy'));

-- what AWS no longer tells of is marked: no row of discovered_database is ever deleted
GRANT SELECT, INSERT, UPDATE ON discovered_database TO usher_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON discovery_run, discovery_place TO usher_app;
