"""Django's entry to the ingestion app."""

from importlib import import_module
from typing import Final

from django.apps import AppConfig

from providers.registry import Declarations, keep_declarations

# Loaded when a source is first looked up: most commands never do.
_STORE: Final = "ingestion.store.file_sources"


class IngestionConfig(AppConfig):
    """Register the app under its own label."""

    name = "ingestion"
    verbose_name = "Market data ingestion"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let the registry of providers look declared sources of files up."""
        keep_declarations(
            Declarations(
                find=lambda name: import_module(_STORE).find_source(name),
                names=lambda: import_module(_STORE).source_names(),
            )
        )
