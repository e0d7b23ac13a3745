"""The hooks of pytest that name what is left out, and the parts of the system tests."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(TESTS), str(TESTS / "system")]

from left_out import pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401
