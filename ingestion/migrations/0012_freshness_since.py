"""Judge freshness from when it was asked for, and find any span of the ledgers quickly."""

import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ingestion', '0011_finding_accepted'),
    ]

    operations = [
        migrations.AddField(
            model_name='jobdefinition',
            name='freshness_since',
            field=models.DateTimeField(blank=True, help_text='sessions that were due earlier are not judged', null=True),
        ),
        migrations.AddIndex(
            model_name='attempt',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['ended_at'], name='attempt_ended'),
        ),
        migrations.AddIndex(
            model_name='job',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['ended_at'], name='job_ended'),
        ),
        migrations.AddIndex(
            model_name='jobdefinition',
            index=models.Index(condition=models.Q(models.Q(('enabled', True), ('freshness__isnull', False), ('freshness_since', None)), models.Q(('freshness', None), ('freshness_since__isnull', False)), models.Q(('enabled', False), ('freshness_since__isnull', False)), _connector='OR'), fields=['id'], name='definition_freshness_switched'),
        ),
        migrations.AddIndex(
            model_name='slot',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['decided_at'], name='slot_decided'),
        ),
        migrations.AddConstraint(
            model_name='freshness',
            constraint=models.CheckConstraint(condition=models.Q(('lacking__gt', 0), ('complete_at__isnull', False), _connector='OR'), name='freshness_complete_or_lacking'),
        ),
    ]
