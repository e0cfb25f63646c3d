"""Let the overrides of calendars only grow: their ids are revisions."""

from django.db import migrations

_GUARDS = """
CREATE TRIGGER calendar_override_append_only
    BEFORE UPDATE OR DELETE ON calendar_override
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER calendar_override_no_truncate
    BEFORE TRUNCATE ON calendar_override
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
_UNDO = """
DROP TRIGGER calendar_override_append_only ON calendar_override;
DROP TRIGGER calendar_override_no_truncate ON calendar_override;
"""


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0013_gaps_by_shape")]

    operations = [migrations.RunSQL(_GUARDS, _UNDO)]
