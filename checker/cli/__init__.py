"""The command line. Each command is one file, imported when it is called."""

from checker.cli.app import main

__all__ = ["main"]
