-- Portals, bots and jobs that call for themselves or for a person, and the keys they call with.

-- AlterTable
ALTER TABLE "audit_event" ADD COLUMN     "via_name" TEXT,
ADD COLUMN     "via_service_id" UUID;

-- AlterTable
ALTER TABLE "request" ADD COLUMN     "via_service_id" UUID;

-- CreateTable
CREATE TABLE "service" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "groups" TEXT[],
    "acts_for" TEXT[],
    "acts_for_anybody" BOOLEAN NOT NULL DEFAULT false,
    "locked" BOOLEAN NOT NULL DEFAULT false,
    "locked_at" TIMESTAMPTZ(3),
    "lock_reason" TEXT,
    "created_by" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "removed_at" TIMESTAMPTZ(3),

    CONSTRAINT "service_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key" (
    "id" UUID NOT NULL,
    "service_id" UUID NOT NULL,
    "prefix" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "scopes" TEXT[],
    "created_by" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "replaces_id" UUID,

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "service_name_key" ON "service"("name");

-- CreateIndex
CREATE UNIQUE INDEX "api_key_prefix_key" ON "api_key"("prefix");

-- CreateIndex
CREATE INDEX "api_key_service_id_id_idx" ON "api_key"("service_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_via_service_id_id_idx" ON "audit_event"("via_service_id", "id" DESC);

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_service_id_fkey" FOREIGN KEY ("service_id") REFERENCES "service"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_replaces_id_fkey" FOREIGN KEY ("replaces_id") REFERENCES "api_key"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "request" ADD CONSTRAINT "request_via_service_id_fkey" FOREIGN KEY ("via_service_id") REFERENCES "service"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- A person is found by the e-mail that a service names, in any case.
CREATE INDEX person_email ON person (lower(email)) WHERE email IS NOT NULL;
-- What a service that is locked has asked for is found in O(pending).
CREATE INDEX request_pending_via ON request (via_service_id) WHERE state = 'pending' AND via_service_id IS NOT NULL;

------------------------------------------------------------------------------------------------- what must never be
ALTER TABLE service
  ADD CONSTRAINT service_name CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
  ADD CONSTRAINT service_locked CHECK (locked = (locked_at IS NOT NULL) AND locked = (lock_reason IS NOT NULL));
ALTER TABLE api_key
  ADD CONSTRAINT api_key_prefix CHECK (prefix ~ '^[a-z0-9]{12}$'),
  ADD CONSTRAINT api_key_hash CHECK (hash ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT api_key_scopes CHECK (cardinality(scopes) > 0),
  ADD CONSTRAINT api_key_period CHECK (expires_at >= created_at AND expires_at <= created_at + interval '365 days');
ALTER TABLE audit_event ADD CONSTRAINT audit_event_via CHECK ((via_service_id IS NULL) = (via_name IS NULL));

-- A key that was revoked, or whose end was brought nearer, never comes back.
CREATE FUNCTION api_key_ends() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) OR NEW.expires_at > OLD.expires_at THEN
    RAISE EXCEPTION 'the end of a key only comes nearer' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER api_key_ends BEFORE UPDATE ON api_key FOR EACH ROW EXECUTE FUNCTION api_key_ends();

-- A service that was removed never comes back: its name stays in the record as this one's.
CREATE FUNCTION service_stays_removed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.removed_at IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
    RAISE EXCEPTION 'a service that was removed is never changed' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER service_stays_removed BEFORE UPDATE ON service FOR EACH ROW EXECUTE FUNCTION service_stays_removed();

-- Who may decide depends on it.
CREATE FUNCTION request_keeps_via() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.via_service_id IS DISTINCT FROM OLD.via_service_id THEN
    RAISE EXCEPTION 'through which service a request came is never changed' USING ERRCODE = '23514';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER request_keeps_via BEFORE UPDATE OF via_service_id ON request FOR EACH ROW EXECUTE FUNCTION request_keeps_via();

GRANT SELECT, INSERT, UPDATE ON service TO usher_app;
GRANT SELECT, INSERT ON api_key TO usher_app;
-- whose it is, what it opens and its hash are not the application's to change
GRANT UPDATE (expires_at, last_used_at, revoked_at) ON api_key TO usher_app;
