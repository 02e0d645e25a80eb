-- Bundles of certificate authorities that Usher mirrors; and of a target, whether it is Aurora Serverless v1, whose
-- authority is another one.

-- AlterTable
ALTER TABLE "target" ADD COLUMN     "engine_mode" TEXT NOT NULL DEFAULT 'provisioned';

-- CreateTable
CREATE TABLE "mirrored_bundle" (
    "name" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "pem" TEXT,
    "sha256" TEXT,
    "changed_at" TIMESTAMPTZ(3),
    "checked_at" TIMESTAMPTZ(3),
    "tried_at" TIMESTAMPTZ(3) NOT NULL,
    "problem" TEXT,

    CONSTRAINT "mirrored_bundle_pkey" PRIMARY KEY ("name")
);

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE target
  ADD CONSTRAINT target_engine_mode CHECK (engine_mode IN ('provisioned', 'serverless')),
  -- only clusters have a mode (DBCluster.EngineMode)
  ADD CONSTRAINT target_engine_mode_kind CHECK (engine_mode = 'provisioned' OR kind = 'aurora-cluster');

ALTER TABLE mirrored_bundle
  -- what is handed out is what the hash is of
  ADD CONSTRAINT mirrored_bundle_hash CHECK (sha256 = encode(sha256(convert_to(pem, 'UTF8')), 'hex')),
  ADD CONSTRAINT mirrored_bundle_whole CHECK (num_nonnulls(pem, sha256, changed_at, checked_at) IN (0, 4)),
  -- where there is nothing to hand out, it is said why
  ADD CONSTRAINT mirrored_bundle_problem CHECK (pem IS NOT NULL OR problem IS NOT NULL);

-- the last good one is never thrown away
GRANT SELECT, INSERT, UPDATE ON mirrored_bundle TO usher_app;
