"""Programs that end right after a call: no thread of the library's is in their way."""

from __future__ import annotations

import pytest
from support.builds import child

pytestmark = pytest.mark.usefixtures("store")

START = """
import asyncio, os, sys
import tierce

class Name:
    seconds = 0

    async def build_image(self, image, dry_run, wait=True, force=False):
        await asyncio.sleep(self.seconds)
        return tierce.ImageBuild(image.uri)

    def get_checkers(self):
        return []

image = tierce.Image.from_debian_base((3, 11), install_flyte=False, name="app")
image = image.with_env_vars({"A": "1"})
build = tierce.build.aio(image, builder=Name(), progress=None)
"""

ENDS = {
    "asked": "assert asyncio.run(tierce.image_exists.aio(image)) is None",
    "built": "asyncio.run(build)",
    "waited": "build.close(); tierce.build(image, builder=Name(), progress=None)",
    "cancelled": """
Name.seconds = 60
async def main():
    try:
        await asyncio.wait_for(build, 0.05)
    except (asyncio.TimeoutError, TimeoutError):
        pass
asyncio.run(main())
""",
    "abandoned": """
loop = asyncio.new_event_loop()
task = loop.create_task(build)
loop.run_until_complete(asyncio.sleep(0.01))
build = task = None
loop._ready.clear()
""",
    "forked": """
asyncio.run(build)
child = os.fork()
if child == 0:
    asyncio.run(tierce.image_exists.aio(image))
    sys.exit()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends_well_right_after_a_call(end: str) -> None:
    # What went wrong was a matter of microseconds. A few at a time make threads wait.
    for _ in range(3):
        programs = [child(f"{START}\n{ENDS[end]}") for _ in range(5)]
        ends = [(program.communicate()[0], program.returncode) for program in programs]
        said = [text for text, code in ends if code != 0 or "Fatal" in text]
        assert not said, said[0]

INTERRUPTED = """
class Interrupted(Name):
    def build_image(self, image, dry_run, wait=True, force=False):
        raise KeyboardInterrupt

build.close()
try:
    asyncio.run(tierce.build.aio(image, builder=Interrupted(), progress=None))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_what_a_builder_raises_is_told_once() -> None:
    program = child(f"{START}\n{INTERRUPTED}")
    assert (program.communicate()[0], program.returncode) == ("interrupted\n", 0)
