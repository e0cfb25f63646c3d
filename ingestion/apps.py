"""Django's entry to the ingestion app."""

from django.apps import AppConfig


class IngestionConfig(AppConfig):
    """Register the app under its own label."""

    name = "ingestion"
    verbose_name = "Market data ingestion"
    default_auto_field = "django.db.models.BigAutoField"
