"""What the task says: a module of the project, which goes into the image with it."""


def greeting(name: str) -> str:
    return f"Hello, {name}!"
