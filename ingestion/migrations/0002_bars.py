"""Create the partitioned bar tables, the guards that only SQL can express, and the views."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    """Run the SQL files in order; each has its reverse beside it."""

    dependencies = [("ingestion", "0001_tables")]

    operations = [
        migrations.RunSQL((SQL / f"{name}.sql").read_text(), (SQL / f"{name}_undo.sql").read_text())
        for name in ("bars", "guards", "views")
    ]
