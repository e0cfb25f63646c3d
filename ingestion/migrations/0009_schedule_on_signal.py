"""Find the schedules that listen to a signal without reading all of them."""

import django.db.models.fields.json
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0008_definition_basis")]

    operations = [
        migrations.AddIndex(
            model_name="schedule",
            index=models.Index(
                django.db.models.fields.json.KeyTextTransform("name", "rule"),
                condition=models.Q(("rule__kind", "signal")),
                name="schedule_on_signal",
            ),
        ),
    ]
