-- Two slices of a job may not begin at the same stamp in the same series.
CREATE UNIQUE INDEX slice_once ON slice (job_id, series_id, lower("window"));

-- The contiguous prefix of done slices ends where the first other slice begins.
CREATE INDEX slice_frontier ON slice (job_id, series_id, lower("window")) WHERE state <> 'done';

-- Slices change state several times; room in the page keeps those updates off the indexes.
ALTER TABLE slice SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02,
                       autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE budget SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,
                        autovacuum_vacuum_threshold = 1000);

-- What happened stays written: the audit ledger only grows.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER audit_event_append_only
    BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_event_no_truncate
    BEFORE TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempt_append_only
    BEFORE UPDATE OR DELETE ON attempt
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER attempt_no_truncate
    BEFORE TRUNCATE ON attempt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
