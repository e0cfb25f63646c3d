"""What docs/files.md shows can be declared, and reads what it says it reads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from providers.files.layout import FileFormat, Layout, parse_layout
from tests.files.folders import adapter_of, fetch, query_of, stamps_of

TEXT = (Path(__file__).parents[2] / "docs" / "files.md").read_text()
SIDECARS = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", TEXT, re.S)]


def test_every_sidecar_shown_is_a_layout() -> None:
    """No example is refused."""
    assert len(SIDECARS) == 2
    for settings in SIDECARS:
        parse_layout(settings)


def test_every_setting_is_described() -> None:
    """The table names each setting of a layout, and none that does not exist."""
    rows = re.findall(r"^\| (`[^|]+) \|", TEXT, re.M)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    known = {*FileFormat.__struct_fields__, *Layout.__struct_fields__}
    # Said in the sidecar's own tables, or by the file's ending.
    assert known - described == {"base", "overrides", "renames", "format"}
    assert described <= known


def test_leans_minutes_are_read_as_shown(tmp_path: Path) -> None:
    """Milliseconds of New York's day and prices in ten-thousandths become bars in UTC."""
    (lean,) = (one for one in SIDECARS if one.get("time_format") == "ms_of_day")
    folder = tmp_path / "aapl"
    folder.mkdir()
    (folder / "20140605_trade.csv").write_text(
        "34200000,6460000,6464900,6455500,6462300,1200\n34260000,6462300,6470000,6460000,6465001,9\n"
    )
    adapter = adapter_of(tmp_path, lean)
    bars = fetch(adapter, query_of("AAPL", "1m", hours="extended")).bars
    assert stamps_of(bars) == ["2014-06-05 13:30", "2014-06-05 13:31"]
    assert bars.close.tolist() == [646.23, 646.5001]
