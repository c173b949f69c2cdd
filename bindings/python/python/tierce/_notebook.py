"""Progress in notebooks: one text that changes in place."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_here() -> bool:
    """Whether this is a notebook's program: IPython is there, and has a kernel."""
    ipython = sys.modules.get("IPython")
    get_ipython = getattr(ipython, "get_ipython", None)
    shell = get_ipython() if get_ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def can_show() -> bool:
    """Whether there is an IPython that can show a text."""
    try:
        from IPython.display import display  # noqa: F401
    except ImportError:
        return False
    return True


class View:
    """A text in the output of a cell."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown: str | None = None

    def show(self, text: str) -> None:
        """Shows `text` instead of what was shown before."""
        if not text or text == self._shown:
            return
        self._shown = text
        content = {"text/plain": text}
        if self._handle is None:
            from IPython.display import display

            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
