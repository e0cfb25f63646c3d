"""`mdc calendar`: sessions as JSON, overrides from words and files, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from django.test import Client
from django.urls import reverse

from ingestion.models import CalendarOverride
from ingestion.services.ensure_roles import ensure_roles
from tests.admin.seeds import log_in

pytestmark = pytest.mark.django_db

Run = Callable[..., Result]
RunJson = Callable[..., Any]
ADD = ("calendar", "override", "add")


def sessions(run_json: RunJson, venue: str, start: str, end: str) -> Any:
    words = ("--venue", venue, "--start", start, "--end", end, "--json")
    return run_json("calendar", "sessions", *words)


def test_sessions_are_printed_as_programs_read_them(run_json: RunJson) -> None:
    """Exactly these keys, in UTC with a Z, the end excluded; holidays are not there."""
    assert sessions(run_json, "XNYS", "2026-11-25", "2026-11-30") == [
        {
            "session": "2026-11-25",
            "open": "2026-11-25T14:30:00Z",
            "close": "2026-11-25T21:00:00Z",
            "kind": "normal",
            "breaks": [],
        },
        {
            "session": "2026-11-27",
            "open": "2026-11-27T14:30:00Z",
            "close": "2026-11-27T18:00:00Z",
            "kind": "early_close",
            "breaks": [],
        },
    ]
    (tokyo,) = sessions(run_json, "XTKS", "2026-11-25", "2026-11-26")
    assert tokyo["breaks"] == [{"start": "2026-11-25T02:30:00Z", "end": "2026-11-25T03:30:00Z"}]
    assert sessions(run_json, "XNYS", "2026-11-25", "2026-11-25") == []


def test_what_is_declared_is_what_is_printed(run: Run, run_json: RunJson) -> None:
    """A halt beside the lunch break is a break too; the table says why."""
    added = run(
        *ADD, "XTKS", "2026-11-25", "halt", "--opens", "09:40", "--closes", "09:55",
        "--reason", "an outage",
    )  # fmt: skip
    assert added.exit_code == 0, added.stderr
    assert added.stdout == "XTKS: session 2026-11-25 changed.\n"
    (day,) = sessions(run_json, "XTKS", "2026-11-25", "2026-11-26")
    assert day["breaks"] == [
        {"start": "2026-11-25T00:40:00Z", "end": "2026-11-25T00:55:00Z"},
        {"start": "2026-11-25T02:30:00Z", "end": "2026-11-25T03:30:00Z"},
    ]
    shown = run(
        "calendar", "sessions", "--venue", "XTKS", "--start", "2026-11-25", "--end", "2026-11-26"
    )
    assert "09:40 to 09:55, 11:30 to 12:30" in shown.stdout
    assert "an outage" in shown.stdout
    known = run_json("calendar", "show", "XTKS", "--json")
    assert known["timezone"] == "Asia/Tokyo"
    assert known["last_session"] == "2035-12-28"
    (stated,) = known["overrides"]
    assert (stated["kind"], stated["reason"], stated["holds"]) == ("halt", "an outage", True)


@pytest.mark.parametrize("ending", ["csv", "toml"])
def test_an_export_says_the_same_again(
    run: Run, run_json: RunJson, tmp_path: Path, ending: str
) -> None:
    """Imported where it holds it changes nothing; imported after a withdrawal it holds again."""
    file = tmp_path / f"days.{ending}"
    reason = 'mourning, "half" a day\nas announced'
    hours = ("--closes", "13:00", "--reason", reason)
    assert run(*ADD, "XNYS", "2026-12-01", "hours", *hours).exit_code == 0
    assert run(*ADD, "XLON", "2026-12-01", "closed", "--reason", "snow").exit_code == 0
    assert run("calendar", "override", "export", "-o", str(file)).exit_code == 0

    again = run("calendar", "override", "import", str(file))
    assert again.stdout == f"days.{ending} states 2 overrides; 0 new.\n"
    taken = run("calendar", "override", "withdraw", "XNYS", "2026-12-01", "--reason", "no")
    assert taken.exit_code == 0
    assert sessions(run_json, "XNYS", "2026-12-01", "2026-12-02")[0]["kind"] == "normal"
    anew = run("calendar", "override", "import", str(file))
    assert anew.stdout.splitlines()[0] == f"days.{ending} states 2 overrides; 1 new."
    assert sessions(run_json, "XNYS", "2026-12-01", "2026-12-02")[0]["kind"] == "early_close"
    listed = run_json("calendar", "override", "list", "--venue", "xnys", "--all", "--json")
    assert [(one["kind"], one["holds"]) for one in listed] == [
        ("hours", False),
        ("withdrawn", False),
        ("hours", True),
    ]
    assert listed[-1]["reason"] == reason


def test_a_file_is_taken_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    """Every bad line is named; none of the good ones was taken."""
    file = tmp_path / "days.csv"
    file.write_text(
        "venue,session,kind,opens,closes,reason\n"
        "XNYS,2026-12-01,closed,,,a storm\n"
        "XNYS,2026-12-32,closed,,,a storm\n"
        "XXXX,2026-12-01,closed,,,a storm\n"
        "XNYS,2026-12-02,hours,,1pm,a storm\n"
    )
    refused = run("calendar", "override", "import", str(file))
    assert refused.exit_code == 2
    assert "line 3: '2026-12-32' is no date" in refused.stderr
    file.write_text(file.read_text().replace("2026-12-32", "2026-12-03"))
    refused = run("calendar", "override", "import", str(file))
    assert refused.exit_code == 2
    assert "line 4: unknown venue 'XXXX'" in refused.stderr
    assert "line 5: XNYS 2026-12-02: '1pm' is no hour" in refused.stderr
    assert not CalendarOverride.objects.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sessions", "--venue", "XXXX"), "unknown venue 'XXXX'"),
        (
            ("sessions", "--venue", "XSHG", "--start", "2026-12-28", "--end", "2027-01-08"),
            "its last known session is 2026-12-31",
        ),
        (
            ("sessions", "--venue", "XNYS", "--start", "2026-12-28", "--end", "2026-12-01"),
            "swap them",
        ),
        (("show", "NOPE"), "unknown venue"),
        (("override", "add", "XNYS", "soon", "closed", "--reason", "x"), "'soon' is no date"),
        (("override", "add", "XNYS", "2026-12-01", "shut", "--reason", "x"), "'shut'"),
        (("override", "add", "XNYS", "2026-12-01", "closed"), "--reason"),
        (
            ("override", "add", "XNYS", "2026-12-25", "closed", "--reason", "x"),
            "no session on that day",
        ),
        (("override", "withdraw", "XNYS", "2026-12-01", "--reason", "x"), "nothing is declared"),
        (("override", "list", "--venue", "XXXX"), "unknown venue"),
    ],
)
def test_wrong_usage_is_answered_in_a_sentence(run: Run, words: tuple[str, ...], said: str) -> None:
    """With exit code 2, and nothing written."""
    answered = run("calendar", *words)
    assert answered.exit_code == 2, answered.stdout
    assert said in answered.stderr
    assert not CalendarOverride.objects.exists()


def test_the_admin_declares_as_the_command_does() -> None:
    """The form says what does not fit; what was declared is neither changed nor removed."""
    ensure_roles()
    operator: Client = log_in("olga", group="operator")
    add = reverse("admin:ingestion_calendaroverride_add")
    typed = {"venue": "xnys", "session": "2026-12-01", "kind": "hours", "reason": "a storm"}
    refused = operator.post(add, {**typed, "closes": "1pm"})
    assert "is no hour; write 13:00" in refused.content.decode()
    assert not CalendarOverride.objects.exists()

    done = operator.post(add, {**typed, "closes": "13:00"}, follow=True)
    assert "XNYS: 2026-12-01 changed." in done.content.decode()
    (row,) = CalendarOverride.objects.all()
    assert (row.venue, row.declared_by, row.source) == ("XNYS", "olga", "admin")
    assert str(row.closes_at) == "2026-12-01 18:00:00+00:00"
    again = operator.post(add, {**typed, "closes": "13:00"})
    assert "that is declared already" in again.content.decode()
    page = reverse("admin:ingestion_calendaroverride_change", args=[row.pk])
    assert operator.get(page).status_code == 200
    assert operator.post(page, typed).status_code == 403
