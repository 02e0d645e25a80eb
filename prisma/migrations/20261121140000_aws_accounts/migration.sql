-- The AWS accounts that Usher works in.

-- CreateTable
CREATE TABLE "aws_account" (
    "id" UUID NOT NULL,
    "account_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "partition" TEXT NOT NULL,
    "broker_role_arn" TEXT,
    "external_id" TEXT,
    "connect_role" TEXT,
    "regions" TEXT[],
    "endpoints" JSONB NOT NULL DEFAULT '{}',
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "aws_account_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "aws_account_name_key" ON "aws_account"("name");

-- CreateIndex
CREATE UNIQUE INDEX "aws_account_partition_account_id_key" ON "aws_account"("partition", "account_id");

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE aws_account
  ADD CONSTRAINT aws_account_id CHECK (account_id ~ '^[0-9]{12}$'),
  ADD CONSTRAINT aws_account_partition CHECK (partition ~ '^aws[a-z-]{0,16}$'),
  -- a broker role of another account would be asked to work here with rights that were meant for there
  ADD CONSTRAINT aws_account_broker_role CHECK (broker_role_arn LIKE 'arn:' || partition || ':iam::' || account_id || ':role/%'),
  ADD CONSTRAINT aws_account_external_id CHECK (external_id ~ '^[\w+=,.@:/-]+$' AND length(external_id) BETWEEN 2 AND 1224),
  ADD CONSTRAINT aws_account_endpoints CHECK (jsonb_typeof(endpoints) = 'object');

GRANT SELECT, INSERT, UPDATE, DELETE ON aws_account TO usher_app;
