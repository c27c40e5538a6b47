"""The command line: the public functions of ``paperzoo``, one command each."""

from paperzoo.cli import data, look, publish, train, use  # noqa: F401  (their commands register themselves)
from paperzoo.cli.app import app, main
from paperzoo.cli.settings import parse_settings

__all__ = ["app", "main", "parse_settings"]
