"""The simulated providers of the demo, and the accounts that know their limits."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, Final

from ingestion.store.series import ensure_account
from mdc.demo.plan import POLYGON_KEY, PROVIDERS, YAHOO, DemoPlan
from mdc.stack.addresses import Home
from mdc.stack.files import write_private_json
from mdc.stack.ports import HOST, listens
from mdc.stack.processes import PROJECT, child_environment
from mdc.stack.supervisor import ProcessSpec
from providers.registry import get_adapter

SIMULATOR: Final = "simulator"

# Settings of the user's that would lead the demo's workers elsewhere, or change what they do.
_UNSET: Final = (
    "MDC_DATABASE_URL_FILE",
    "MDC_BROKER_URL_FILE",
    "MDC_PROVIDER_YAHOO_BASE_URL_FILE",
    "MDC_PROVIDER_POLYGON_BASE_URL_FILE",
    "MDC_PROVIDER_POLYGON_KEY_FILE",
    "MDC_MINIMUM_BARS",
    "MDC_MAX_BAD_PERCENT",
    "MDC_CRASH_POINTS",
)


def simulator_process(plan: DemoPlan, *, home: Home, port: int) -> ProcessSpec:
    """Describe the simulator as one more process of the stack; writes its configuration."""
    config = home.root / "simulator.json"
    write_private_json(config, simulator_config(plan))
    module = (sys.executable, "-m", "providers.simulator")
    return ProcessSpec(
        name=SIMULATOR,
        argv=(*module, "--port", str(port), "--config", str(config)),
        log=home.logs / "simulator.log",
        ready=lambda pid: listens(pid, port),
        environment=child_environment({}),
        folder=PROJECT,
    )


def address(port: int) -> str:
    """Return where the simulator serves."""
    return f"http://{HOST}:{port}"


def simulator_config(plan: DemoPlan) -> dict[str, Any]:
    """Return the simulator's start-up configuration.

    Its limiter counts every arrival, refused ones too: an exact judge of our pacing.
    """
    limits = [{"n": plan.limit.n, "window": plan.limit.window.total_seconds()}]
    latencies = [
        {"name": f"{provider} latency", "kind": "latency", "provider": provider, "seconds": seconds}
        for provider, seconds in plan.latency.items()
    ]
    return {
        "polygon": {"keys": [POLYGON_KEY]},
        "limits": {name: {"limits": limits, "mode": "reject"} for name in PROVIDERS},
        "faults": [*latencies, *plan.faults, *_withheld(plan)],
    }


def withheld_rules(plan: DemoPlan) -> list[str]:
    """Name the simulator's rules that withhold sessions."""
    return [rule["name"] for rule in _withheld(plan)]


def _withheld(plan: DemoPlan) -> list[dict[str, Any]]:
    return [
        {
            "name": f"withheld {symbol}",
            "kind": "withhold",
            "provider": YAHOO,
            "symbol": symbol,
            "dates": [day.isoformat() for day in days],
        }
        for symbol, days in plan.withheld.items()
    ]


def worker_environment(base_url: str, *, processes: int) -> dict[str, str]:
    """Return the environment in which workers reach the simulator and nobody else."""
    return {
        "MDC_PROVIDER_YAHOO_BASE_URL": base_url,
        "MDC_PROVIDER_POLYGON_BASE_URL": base_url,
        "MDC_PROVIDER_POLYGON_KEY": POLYGON_KEY,
        "MDC_FETCH_PROCESSES": str(processes),
        **dict.fromkeys(_UNSET, ""),
    }


def open_accounts(plan: DemoPlan) -> None:
    """Make the accounts with the simulator's limits, as an operator enters a paid plan's.

    Left alone, mdc would keep to what the adapters declare: five requests a minute at polygon.
    """
    for provider in PROVIDERS:
        capabilities = replace(
            get_adapter(provider).capabilities,
            rate_limits=(plan.limit,),
            max_in_flight=plan.in_flight,
        )
        ensure_account(provider, capabilities=capabilities, egress="default")
