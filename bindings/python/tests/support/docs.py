"""Examples of the documentation: Python in Markdown, and `>>>` in docstrings."""

from __future__ import annotations

import re
from pathlib import Path

# A checkout has the documents; what is installed has not.
CHECKOUT = Path(__file__).resolve().parents[4]
FENCE = re.compile(
    r"(?P<said><!--(?P<comment>.*?)-->\n)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
NOT_RUN = "not run:"


def blocks(document: str) -> list[tuple[int, str]]:
    """The ```python blocks of a document of the checkout, with the line where each begins.

    One after `<!-- not run: why -->` is left out.
    """
    text = (CHECKOUT / document).read_text()
    found = []
    for match in FENCE.finditer(text):
        if (match["comment"] or "").strip().startswith(NOT_RUN):
            continue
        found.append((text.count("\n", 0, match.start("code")) + 1, match["code"]))
    return found
