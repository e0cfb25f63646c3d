"""The prices as mdc gives them out again: through its CSV export."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, time

from ingestion.domain.selection import Selection
from ingestion.formats.forms import ExportFormat
from ingestion.services.export_bars import export_bars
from mdc.demo.errors import DemoFailed
from mdc.demo.source import History, Prices
from providers.types import Timeframe


def read_stored(provider: str) -> History:
    """Export all daily bars of a provider and read them back.

    Raises DemoFailed for a bar that is not stamped with midnight UTC, or is there twice.
    """
    text = io.BytesIO()
    selection = Selection(timeframes=(Timeframe.D1,), provider=provider)
    export_bars(text, form=ExportFormat.CSV, selection=selection)
    history: dict[str, dict[date, Prices]] = {}
    for row in csv.DictReader(io.StringIO(text.getvalue().decode())):
        stamp = datetime.fromisoformat(row["ts"])
        sessions = history.setdefault(row["symbol"], {})
        if stamp.time() != time() or stamp.date() in sessions:
            raise DemoFailed(
                f"{provider} {row['symbol']} has a second or an oddly stamped bar at {row['ts']}"
            )
        sessions[stamp.date()] = Prices(*(_number(row[name]) for name in Prices._fields))
    return history


def _number(text: str) -> float:
    return float(text) if text else float("nan")
