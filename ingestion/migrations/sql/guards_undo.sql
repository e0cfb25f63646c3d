DROP TRIGGER attempt_no_truncate ON attempt;
DROP TRIGGER attempt_append_only ON attempt;
DROP TRIGGER audit_event_no_truncate ON audit_event;
DROP TRIGGER audit_event_append_only ON audit_event;
DROP FUNCTION refuse_change();
DROP INDEX slice_frontier;
DROP INDEX slice_once;
