"""A Flyte task and the image that it runs in."""

import flyte
from greeting import greeting

image = (
    flyte.Image.from_debian_base(
        python_version=(3, 11),
        install_flyte=False,
        name="hello",
        # apt and friends run in the image while it is built: for this machine's processor.
        platform=("linux/amd64",),
    )
    .with_apt_packages("git")
    .with_pip_packages("flyte==2.12.1")
    .with_env_vars({"GREETED_BY": "tierce"})
    .with_code_bundle()
)

env = flyte.TaskEnvironment(name="hello", image=image)


@env.task
async def hello(name: str = "world") -> str:
    return greeting(name)
