"""A web service with one page."""

import os

from fastapi import FastAPI

service = FastAPI()


@service.get("/")
def hello() -> dict[str, str]:
    """Say where we run."""
    return {"hello": "from an image built without Docker", "env": os.environ["APP_ENV"]}
