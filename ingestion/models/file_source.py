"""Folders of price files that people have declared."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class FileSource(models.Model):
    """Name a folder or glob of files; the provider of what it holds is `files:<name>`.

    `layout` is how its files are to be read, as providers.adapters.files writes it.
    """

    name = models.SlugField(max_length=26, unique=True)
    path = models.TextField(help_text="absolute path or glob, as the workers see it")
    layout = models.JSONField(default=dict)
    declared_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "file_source"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
