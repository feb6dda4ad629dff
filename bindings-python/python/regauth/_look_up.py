"""Looks credentials up: runs the helper that the configuration names, or calls the program's own function."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from ._core import Credentials, Exchange, Flow, is_helper_name

LookUp = Callable[[Credentials], Mapping[str, Any] | None]
"""Gives the keywords of :meth:`Flow.credentials`, or ``None`` where there are no credentials."""

LIMIT = 30
"""Seconds for a helper."""


def answer(asker: Flow | Exchange, query: Credentials, own: LookUp | None) -> None:
    """Answers a step ``Credentials``; may take as long as a helper does."""
    if query.helper is None:
        asker.credentials(**(own(query) or {}) if own else {})
        return
    name = f"docker-credential-{query.helper}"
    if not is_helper_name(query.helper):
        asker.helper_failed("its name is no name of a program")
        return
    try:
        # No shell, and no path out of a configuration file.
        done = subprocess.run(
            [name, "get"],
            input=(query.helper_url or "").encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT,
            check=False,
        )
    except FileNotFoundError:
        asker.helper_failed(f"{name} is not installed")
    except subprocess.TimeoutExpired:
        asker.helper_failed(f"{name} did not answer in {LIMIT} s")
    except OSError as error:
        asker.helper_failed(f"{name} cannot be run: {error.strerror}")
    else:
        asker.helper(done.returncode == 0, done.stdout)
