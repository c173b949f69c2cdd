"""A flytekit workflow, and the image that its tasks run in."""

from flytekit import ImageSpec, task, workflow

from words import greeting

image = ImageSpec(
    name="greeter",
    builder="tierce",
    registry="localhost:5000",
    packages=["flytekit==1.16.31", "cowsay==6.1"],
    env={"GREETED_BY": "tierce"},
)

if image.is_container():
    # Only the image has it, and this machine where it is installed.
    try:
        import cowsay
    except ModuleNotFoundError:
        cowsay = None


@task(container_image=image)
def greet(name: str) -> str:
    text = greeting(name)
    return cowsay.get_output_string("cow", text) if cowsay else text


@workflow
def wf(name: str = "world") -> str:
    return greet(name=name)
