-- CREATEROLE belongs to what a plan promises: a grant keeps what was shown, whatever becomes of its profile.

-- AlterTable
ALTER TABLE "access_grant" ADD COLUMN     "creates_roles" BOOLEAN NOT NULL DEFAULT false;

-- what lives was opened by the allow-list, which the profile was held against when it was registered
UPDATE "access_grant" g SET "creates_roles" = p."creates_roles" FROM "profile" p WHERE p."id" = g."profile_id";

CREATE OR REPLACE FUNCTION grant_moves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state NOT IN ('scheduled', 'opening') THEN
      RAISE EXCEPTION 'a grant begins as scheduled or opening, not %', NEW.state USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.request_id, NEW.target_id, NEW.profile_id, NEW.person_id, NEW.login, NEW.database, NEW.guard_profile, NEW.groups, NEW.connection_limit, NEW.creates_roles, NEW.method, NEW.mode, NEW.principal_arn)
     IS DISTINCT FROM (OLD.request_id, OLD.target_id, OLD.profile_id, OLD.person_id, OLD.login, OLD.database, OLD.guard_profile, OLD.groups, OLD.connection_limit, OLD.creates_roles, OLD.method, OLD.mode, OLD.principal_arn) THEN
    RAISE EXCEPTION 'what a grant gives to whom is never changed' USING ERRCODE = '23514';
  END IF;
  -- an end that was reached stays: nothing that is being ended is given more time
  IF NEW.ends_at IS DISTINCT FROM OLD.ends_at AND OLD.state NOT IN ('scheduled', 'opening', 'active') THEN
    RAISE EXCEPTION 'the end of a grant that is % is not moved', OLD.state USING ERRCODE = '23514';
  END IF;
  IF NEW.state IS DISTINCT FROM OLD.state THEN
    EXECUTE format('INSERT INTO %I.grant_history (grant_id, from_state, to_state) VALUES ($1, $2, $3)', TG_TABLE_SCHEMA)
      USING NEW.id, OLD.state, NEW.state;
    PERFORM pg_notify('usher_grant', NEW.id::text); -- wakes those who wait for it; heard only if this commits
  END IF;
  RETURN NEW;
END $$;
