"""Let SQL judge gaps of extended and clock-anchored series, by halts and by the names' dates."""

from pathlib import Path

import django.db.models.expressions
from django.db import migrations, models

import ingestion.models.fields

SQL = Path(__file__).parent / "sql"
# What an earlier release stored is completed by the next job of the venue.
FILL = "UPDATE venue_session SET earliest_at = opens_at, latest_at = closes_at"
EMPTY = django.db.models.expressions.RawSQL("'{}'::tstzmultirange", [])


class Migration(migrations.Migration):
    """Add what a venue's sessions lacked, then replace the function."""

    dependencies = [("ingestion", "0007_schedules")]

    operations = [
        migrations.AddField(
            "venuesession", "halts", ingestion.models.fields.TstzMultirangeField(db_default=EMPTY)
        ),
        migrations.AddField("venuesession", "earliest_at", models.DateTimeField(null=True)),
        migrations.AddField("venuesession", "latest_at", models.DateTimeField(null=True)),
        migrations.AddField("venuesession", "utc_offset", models.IntegerField(db_default=0)),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField("venuesession", "earliest_at", models.DateTimeField()),
        migrations.AlterField("venuesession", "latest_at", models.DateTimeField()),
        migrations.RunSQL(
            (SQL / "coverage_gaps.sql").read_text(), (SQL / "coverage_gaps_undo.sql").read_text()
        ),
    ]
