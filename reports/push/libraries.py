"""Libraries of others that a push needs, and that only who pushes has to have."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...profiles.errors import UserError


def library(name: str, install: str, target: str) -> Any:
    """A module of a library, imported.

    Raises:
        UserError: it is not installed, or does not load.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        raise UserError(
            f"pushing to {target} needs {package}, which "
            + ("is not installed" if missing else "does not load here"),
            found="" if missing else str(error),
            remedy=install,
        ) from error
