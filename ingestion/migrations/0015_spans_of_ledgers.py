"""Find any span of signals and of judged sessions quickly."""

import django.contrib.postgres.indexes
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0014_overrides_only_grow")]

    operations = [
        migrations.AddIndex(
            model_name="freshness",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["due_at"], name="freshness_due"
            ),
        ),
        migrations.AddIndex(
            model_name="signal",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["raised_at"], name="signal_raised"
            ),
        ),
    ]
