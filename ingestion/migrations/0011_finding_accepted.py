"""Look up by its fingerprint what a person accepted."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ingestion", "0010_decided_until")]

    operations = [
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(
                fields=["fingerprint", "-id"],
                condition=models.Q(("state", "accepted")),
                name="finding_accepted",
            ),
        )
    ]
