"""What is compiled: classes and functions as Python sees them."""

from __future__ import annotations

__version__: str

