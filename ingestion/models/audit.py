"""Who did what, when and why."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class AuditEvent(models.Model):
    """Record one act; a trigger refuses every change and deletion."""

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=150)
    source = models.CharField(max_length=16, help_text="cli, admin, beat, worker, api")
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=32)
    object_id = models.CharField(max_length=64)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "audit_event"
        indexes = [models.Index(fields=["object_type", "object_id", "id"], name="audit_of_object")]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
