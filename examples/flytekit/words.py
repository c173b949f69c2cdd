"""A module of the project."""

import os


def greeting(name: str) -> str:
    return f"Hello {name}, from {os.environ.get('GREETED_BY', 'nobody')}"
