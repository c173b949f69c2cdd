"""A pipeline, and what its image has."""

from __future__ import annotations

from zenml import pipeline, step
from zenml.config import DockerSettings
from zenml.config.docker_settings import DockerBuildConfig, DockerBuildOptions

DOCKER = DockerSettings(
    requirements=["cowsay==6.1"],
    environment={"GREETING": "hello"},
    install_stack_requirements=False,
    # The code is in the image.
    allow_including_files_in_images=True,
    allow_download_from_artifact_store=False,
    allow_download_from_code_repository=False,
    build_config=DockerBuildConfig(
        build_options=DockerBuildOptions(labels={"org.example.team": "greeters"})
    ),
)


@step
def greet(name: str) -> str:
    """Says hello."""
    return f"hello {name}"


@pipeline(enable_cache=False)
def hello() -> None:
    """Greets."""
    greet("tierce")
