-- A checkpoint may be signed after it was made, by a key that is elsewhere: adr/0030.

-- It changes in one way only: the signature that it lacks is put on it, over this very tree. All else stays to the letter.
CREATE FUNCTION audit_checkpoint_signed_once() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF OLD.note IS NULL AND to_jsonb(NEW) - 'note' = to_jsonb(OLD) - 'note'
     AND split_part(NEW.note, E'\n', 2) = NEW.size::text AND split_part(NEW.note, E'\n', 3) = encode(NEW.root, 'base64') THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% is append only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = '42501';
END $$;
DROP TRIGGER audit_checkpoint_append_only ON audit_checkpoint;
CREATE TRIGGER audit_checkpoint_append_only BEFORE DELETE ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_checkpoint_signed_once BEFORE UPDATE ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_signed_once();

-- The newest that is signed is looked for often, and may stand behind many that are not.
CREATE INDEX audit_checkpoint_signed ON audit_checkpoint (size) WHERE note IS NOT NULL;

GRANT UPDATE (note) ON audit_checkpoint TO usher_app;
