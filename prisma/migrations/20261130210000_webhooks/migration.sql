-- Webhooks: where the record is sent to, event by event, and what came of it.

-- CreateEnum
CREATE TYPE "WebhookState" AS ENUM ('enabled', 'disabled', 'failing');

-- CreateEnum
CREATE TYPE "DeliveryState" AS ENUM ('pending', 'delivered');

-- CreateTable
CREATE TABLE "webhook" (
    "id" UUID NOT NULL,
    "url" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "events" TEXT[],
    "target_ids" UUID[],
    "subject_ids" UUID[],
    "state" "WebhookState" NOT NULL DEFAULT 'enabled',
    "state_reason" TEXT,
    "state_since" TIMESTAMPTZ(3) NOT NULL,
    "cursor" BIGINT NOT NULL,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "paused_until" TIMESTAMPTZ(3),
    "created_by" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "webhook_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhook_secret" (
    "id" UUID NOT NULL,
    "webhook_id" UUID NOT NULL,
    "key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ends_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_secret_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhook_delivery" (
    "id" UUID NOT NULL,
    "webhook_id" UUID NOT NULL,
    "sequence" BIGINT NOT NULL,
    "type" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "state" "DeliveryState" NOT NULL DEFAULT 'pending',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMPTZ(3) NOT NULL,
    "first_attempt_at" TIMESTAMPTZ(3),
    "last_status" INTEGER,
    "last_error" TEXT,
    "delivered_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_delivery_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "webhook_secret_webhook_id_idx" ON "webhook_secret"("webhook_id");

-- CreateIndex
CREATE INDEX "webhook_delivery_webhook_id_id_idx" ON "webhook_delivery"("webhook_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "webhook_delivery_webhook_id_sequence_key" ON "webhook_delivery"("webhook_id", "sequence");

-- AddForeignKey
ALTER TABLE "webhook_secret" ADD CONSTRAINT "webhook_secret_webhook_id_fkey" FOREIGN KEY ("webhook_id") REFERENCES "webhook"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_delivery" ADD CONSTRAINT "webhook_delivery_webhook_id_fkey" FOREIGN KEY ("webhook_id") REFERENCES "webhook"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What waits is found in O(waiting), subject by subject, however much was delivered before.
CREATE INDEX webhook_delivery_pending ON webhook_delivery (webhook_id, subject, sequence) WHERE state = 'pending';
-- What is old enough to be forgotten.
CREATE INDEX webhook_delivery_delivered ON webhook_delivery (delivered_at) WHERE state = 'delivered';

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE webhook
  ADD CONSTRAINT webhook_url CHECK (url ~ '^https?://' AND char_length(url) <= 2048),
  ADD CONSTRAINT webhook_events CHECK (cardinality(events) BETWEEN 1 AND 100),
  ADD CONSTRAINT webhook_cursor CHECK (cursor >= 0),
  ADD CONSTRAINT webhook_failures CHECK (failures >= 0),
  ADD CONSTRAINT webhook_reason CHECK ((state = 'enabled') = (state_reason IS NULL)),
  -- what is not enabled is not waited for
  ADD CONSTRAINT webhook_pause CHECK (state = 'enabled' OR paused_until IS NULL);
ALTER TABLE webhook_secret
  ADD CONSTRAINT webhook_secret_key CHECK (key_id ~ '^[0-9a-f]{16}$'),
  ADD CONSTRAINT webhook_secret_period CHECK (ends_at >= created_at);
-- nothing is signed with two secrets that are both here to stay
CREATE UNIQUE INDEX webhook_secret_current ON webhook_secret (webhook_id) WHERE ends_at IS NULL;
ALTER TABLE webhook_delivery
  ADD CONSTRAINT webhook_delivery_sequence CHECK (sequence >= 1),
  ADD CONSTRAINT webhook_delivery_attempts CHECK (attempts >= 0 AND (attempts > 0) = (first_attempt_at IS NOT NULL)),
  ADD CONSTRAINT webhook_delivery_status CHECK (last_status BETWEEN 100 AND 599),
  ADD CONSTRAINT webhook_delivery_delivered CHECK ((state = 'delivered') = (delivered_at IS NOT NULL));

-- A secret that another has followed never comes back, and never lives longer than was said.
CREATE FUNCTION webhook_secret_ends() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.ends_at IS NOT NULL AND (NEW.ends_at IS NULL OR NEW.ends_at > OLD.ends_at) THEN
    RAISE EXCEPTION 'the end of a secret only comes nearer' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER webhook_secret_ends BEFORE UPDATE ON webhook_secret FOR EACH ROW EXECUTE FUNCTION webhook_secret_ends();

-- What arrived stays so; to send it once more it is made anew.
CREATE FUNCTION webhook_delivery_stays() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.state = 'delivered' THEN
    RAISE EXCEPTION 'what was delivered is never changed' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER webhook_delivery_stays BEFORE UPDATE ON webhook_delivery FOR EACH ROW EXECUTE FUNCTION webhook_delivery_stays();

---------------------------------------------------------------------------------------------------------- the rights
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook TO usher_app;
GRANT SELECT, INSERT, DELETE ON webhook_secret, webhook_delivery TO usher_app;
-- what a secret is made of, and what a delivery is of, are not the application's to change
GRANT UPDATE (ends_at) ON webhook_secret TO usher_app;
GRANT UPDATE (state, attempts, next_attempt_at, first_attempt_at, last_status, last_error, delivered_at) ON webhook_delivery TO usher_app;
