"""Building: `tierce.build` and its kin, and waiting for the library's work.

The work goes on in threads of the library's. Whoever waits for it shows what happens, and calls
what is written in Python and the work wants to be called: builders and checkers.
"""

from __future__ import annotations

from . import _tierce
from ._tierce import ImageBuild, ImageSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable, Sequence
    from os import PathLike
    from typing import Any, Literal, TypeAlias, overload

    from ._tierce import Call, Image, Job
    from .extend import ImageBuilder

    _Progress: TypeAlias = (
        Literal["auto", "live", "plain", "notebook", "quiet"]
        | Callable[[dict[str, Any]], object]
        | None
    )
    _Builder: TypeAlias = str | ImageBuilder
    _Path: TypeAlias = str | PathLike[str]

__all__ = ["ImageBuildEngine", "build", "build_all", "image_exists"]

# How often those who wait on a loop look at what happened, in seconds.
_PAUSE = 0.1
# How long coroutines that are cancelled may take to end, in seconds.
_CLEANUP = 10.0


class _Build:
    """Builds an image unless it is there already, and delivers it.

    An image with a registry is pushed to it; one without is kept in the local store, from where
    `tierce run` and exports take it. A registry is the image's own (`registry=`), or what
    `tierce.init(image_registry=...)`, the environment or the configuration say.

    Ctrl-C stops the build at once. `await tierce.build.aio(...)` does the same on a loop that goes
    on meanwhile; to cancel the task stops the build.

    Args:
        image: A `tierce.Image` or `tierce.ImageSpec`, or one of Flyte's or flytekit's.
        dry_run: Say whether and how it would be built, and change nothing.
        force: Build it whether it is there or not, and look up anew what names and versions
            stand for.
        wait: Wait for the end. If not, a process of its own builds in the background, and
            `remote_run` of the result tells how it is. Where there is nothing to build, there
            is none.
        push: Whether it is pushed; by default where it has a registry and no `exports` are given.
        exports: Where it goes besides: `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`, or
            `load` for the local Docker or podman.
        builder: The name of a builder, or one written in Python (`tierce.extend.ImageBuilder`).
        platforms: What it is built for, instead of what the image says: `linux/arm64`.
        progress: How what happens is shown: `auto` (live in a terminal, in place in a notebook,
            else a line a step on `sys.stderr`), `live`, `plain`, `notebook`, `quiet` (warnings only), a
            function that gets a dict an event, or None.
        locked: The `tierce.lock` that it is built from, below the project's folder if relative.
            What the image says now must be what was locked.
        locked_image: Which image of the lock is meant: `app.py:train`, or `train`. By default the
            only one, or the one that has the image's name.

    Returns:
        The image's name and digest, and how it came to be there.

    Raises:
        TierceError: The build failed; see `tierce.errors`.

    Example:
        >>> import tierce
        >>> image = tierce.Image.from_debian_base(install_flyte=False, name="app")
        >>> build = tierce.build(image.with_pip_packages("requests"))  # doctest: +SKIP
        >>> build.uri                                                  # doctest: +SKIP
        'app:thu45b3wzhheqhta63whswqaw'
    """

    def __call__(
        self,
        image: object,
        dry_run: bool = False,
        force: bool = False,
        wait: bool = True,
        *,
        push: bool | None = None,
        exports: Sequence[str] = (),
        builder: _Builder | None = None,
        platforms: Sequence[str] = (),
        progress: _Progress = "auto",
        locked: _Path | None = None,
        locked_image: str | None = None,
    ) -> ImageBuild:
        _check_single(image)
        wishes = (dry_run, force, wait, push, exports, builder, platforms, progress)
        if _tierce.has_spec_builder(image, builder):
            return _by_spec_builder(image, *wishes, locked, locked_image)
        job = _tierce.start_build(image, *wishes, locked, locked_image)
        built: ImageBuild = _wait_here(job)
        return built

    async def aio(
        self,
        image: object,
        dry_run: bool = False,
        force: bool = False,
        wait: bool = True,
        *,
        push: bool | None = None,
        exports: Sequence[str] = (),
        builder: _Builder | None = None,
        platforms: Sequence[str] = (),
        progress: _Progress = "auto",
        locked: _Path | None = None,
        locked_image: str | None = None,
    ) -> ImageBuild:
        """The same as a coroutine: the loop goes on meanwhile, and to cancel it stops the build.

        Example:
            >>> import asyncio, tierce
            >>> image = tierce.Image.from_debian_base(install_flyte=False, name="app")
            >>> asyncio.run(tierce.build.aio(image)).status  # doctest: +SKIP
            'built'
        """
        _check_single(image)
        wishes = (dry_run, force, wait, push, exports, builder, platforms, progress)
        if _tierce.has_spec_builder(image, builder):
            import asyncio

            by_builder = _by_spec_builder
            return await asyncio.to_thread(by_builder, image, *wishes, locked, locked_image)
        job = _tierce.start_build(image, *wishes, locked, locked_image)
        built: ImageBuild = await wait_for(job)
        return built

    def __repr__(self) -> str:
        return "<function tierce.build>"


class _BuildAll:
    """Builds several images, some at once; what they have in common is built once.

    The failure of one stops only those that need it. `await tierce.build_all.aio(...)` does the
    same on a loop.

    Args:
        images: The images, as `tierce.build` takes them.
        dry_run: As for `tierce.build`.
        force: As for `tierce.build`.
        push: As for `tierce.build`.
        builder: As for `tierce.build`.
        platforms: As for `tierce.build`.
        progress: As for `tierce.build`.
        locked: The `tierce.lock` that they are built from: each from what has its name there.
        return_exceptions: Whether failures are returned in the place of results. If not, the
            first one is raised when all is done.

    Returns:
        What came of each, in the order of `images`.

    Example:
        >>> import tierce
        >>> tierce.build_all([])
        []
    """

    def __call__(
        self,
        images: Iterable[object],
        dry_run: bool = False,
        force: bool = False,
        *,
        push: bool | None = None,
        builder: _Builder | None = None,
        platforms: Sequence[str] = (),
        progress: _Progress = "auto",
        locked: _Path | None = None,
        return_exceptions: bool = False,
    ) -> list[Any]:
        wishes = (dry_run, force, True, push, (), builder, platforms, progress, locked, None)
        every, parted = _parted(images, builder)
        engines = [image for image, has in zip(every, parted) if not has]
        if not any(parted):
            builds = _wait_here(_tierce.start_build(engines, *wishes))
            return _raised_first(builds, return_exceptions)
        specs = [image for image, has in zip(every, parted) if has]
        by_specs = [_by_spec_builder_or_failure(spec, *wishes) for spec in specs]
        by_engine = _wait_here(_tierce.start_build(engines, *wishes)) if engines else []
        return _raised_first(_merged(parted, by_specs, by_engine), return_exceptions)

    async def aio(
        self,
        images: Iterable[object],
        dry_run: bool = False,
        force: bool = False,
        *,
        push: bool | None = None,
        builder: _Builder | None = None,
        platforms: Sequence[str] = (),
        progress: _Progress = "auto",
        locked: _Path | None = None,
        return_exceptions: bool = False,
    ) -> list[Any]:
        """The same as a coroutine."""
        wishes = (dry_run, force, True, push, (), builder, platforms, progress, locked, None)
        every, parted = _parted(images, builder)
        engines = [image for image, has in zip(every, parted) if not has]
        if not any(parted):
            builds = await wait_for(_tierce.start_build(engines, *wishes))
            return _raised_first(builds, return_exceptions)
        import asyncio

        async def by_specs() -> list[Any]:
            specs = [image for image, has in zip(every, parted) if has]
            how = asyncio.to_thread
            return [await how(_by_spec_builder_or_failure, spec, *wishes) for spec in specs]

        async def by_engine() -> list[Any]:
            if not engines:
                return []
            return list(await wait_for(_tierce.start_build(engines, *wishes)))

        both = await asyncio.gather(by_specs(), by_engine())
        return _raised_first(_merged(parted, *both), return_exceptions)

    def __repr__(self) -> str:
        return "<function tierce.build_all>"


class _ImageExists:
    """Whether an image is where a build would put it: its name, or None where it would be built.

    `await tierce.image_exists.aio(image)` does the same on a loop.

    Args:
        image: A `tierce.Image` or `tierce.ImageSpec`, or one of Flyte's or flytekit's.
        builder: Who would build it: its checkers are asked.

    Example:
        >>> import tierce
        >>> tierce.image_exists(tierce.Image.from_base("python:3.12-slim"))
        'docker.io/library/python:3.12-slim'
    """

    def __call__(self, image: object, builder: _Builder | None = None) -> str | None:
        _check_single(image)
        if _tierce.has_spec_builder(image, builder):
            return _spec_exists(image, builder)
        found: str | None = _wait_here(_tierce.start_exists(image, builder))
        return found

    async def aio(self, image: object, builder: _Builder | None = None) -> str | None:
        """The same as a coroutine."""
        _check_single(image)
        if _tierce.has_spec_builder(image, builder):
            import asyncio

            return await asyncio.to_thread(_spec_exists, image, builder)
        found: str | None = await wait_for(_tierce.start_exists(image, builder))
        return found

    def __repr__(self) -> str:
        return "<function tierce.image_exists>"


build = _Build()
build_all = _BuildAll()
image_exists = _ImageExists()

# What Python calls them where arguments are wrong.
_Build.__call__.__qualname__, _Build.aio.__qualname__ = "build", "build.aio"
_BuildAll.__call__.__qualname__, _BuildAll.aio.__qualname__ = "build_all", "build_all.aio"
_ImageExists.__call__.__qualname__ = "image_exists"
_ImageExists.aio.__qualname__ = "image_exists.aio"


class ImageBuildEngine:
    """The engine under the name and with the methods that Flyte's and flytekit's have.

    Flyte's are coroutines and take an `Image`; flytekit's are plain functions and take an
    `ImageSpec`. `build` is either, by what it is given.

    Example:
        >>> import tierce
        >>> class Echo(tierce.ImageSpecBuilder):
        ...     def build_image(self, image_spec):
        ...         return f"example.com/{image_spec.name}:1"
        ...     def should_build(self, image_spec):
        ...         return True
        >>> tierce.ImageBuildEngine.register("echo", Echo(), priority=-1)
        >>> spec = tierce.ImageSpec("report", builder="echo")
        >>> tierce.ImageBuildEngine.build(spec).uri
        'example.com/report:1'
    """

    if TYPE_CHECKING:

        @overload
        @staticmethod
        def build(
            image: ImageSpec,
            builder: _Builder | None = ...,
            dry_run: bool = ...,
            force: bool = ...,
            wait: bool = ...,
        ) -> ImageBuild: ...
        @overload
        @staticmethod
        def build(
            image: Image,
            builder: _Builder | None = ...,
            dry_run: bool = ...,
            force: bool = ...,
            wait: bool = ...,
        ) -> Coroutine[Any, Any, ImageBuild]: ...
        @overload
        @staticmethod
        def build(
            image: object,
            builder: _Builder | None = ...,
            dry_run: bool = ...,
            force: bool = ...,
            wait: bool = ...,
        ) -> Any: ...

    @staticmethod
    def build(
        image: object,
        builder: _Builder | None = None,
        dry_run: bool = False,
        force: bool = False,
        wait: bool = True,
    ) -> ImageBuild | Coroutine[Any, Any, ImageBuild]:
        """Builds an `ImageSpec` now, or gives a coroutine that builds an `Image`."""
        how = build if _is_spec(image) else build.aio
        return how(image, dry_run, force, wait, builder=builder)

    @staticmethod
    async def image_exists(image: object) -> str | None:
        """The image's name where it is there, or None where a build would build it."""
        return await image_exists.aio(image)

    @staticmethod
    def register(builder_type: str, image_spec_builder: object, priority: int = 5) -> None:
        """Makes a builder known under a name, for this process.

        One of `ImageSpec`s with a priority above 0 builds those that name no builder.
        """
        _tierce.register_builder(builder_type, image_spec_builder, priority)

    @staticmethod
    def get_registry() -> dict[str, tuple[Any, int]]:
        """The builders of `ImageSpec`s that were registered, with their priorities."""
        return {name: (spec, rank) for name, spec, rank in _tierce.registered_builders()}


def _check_single(image: object) -> None:
    if isinstance(image, (list, tuple)):
        raise TypeError(
            f"argument 'image' must be Image or ImageSpec, not {type(image).__name__}\n"
            "hint: tierce.build_all builds several"
        )


def _is_spec(image: object) -> bool:
    return isinstance(image, ImageSpec) or any(
        kind.__name__ == "ImageSpec" for kind in type(image).__mro__
    )


def _by_spec_builder(image: Any, *wishes: Any) -> ImageBuild:
    """What comes of an image that has an `ImageSpecBuilder`, which works in this thread."""
    built = _tierce.build_spec(image, *wishes)
    assert built is not None, "it was looked for a moment ago"
    return built


def _by_spec_builder_or_failure(image: object, *wishes: Any) -> ImageBuild | Exception:
    try:
        return _by_spec_builder(image, *wishes)
    except Exception as failure:
        return failure


def _parted(images: Iterable[object], builder: object) -> tuple[list[object], list[bool]]:
    """The images, and whether each has an `ImageSpecBuilder`."""
    if isinstance(images, str) or not hasattr(images, "__iter__"):
        raise TypeError(f"argument 'images' must be a list of images, not {type(images).__name__}")
    every = list(images)
    return every, [_tierce.has_spec_builder(image, builder) for image in every]


def _spec_exists(image: Any, builder: object) -> str | None:
    return _tierce.spec_exists(image, builder)


def _merged(parted: list[bool], by_specs: list[Any], by_engine: list[Any]) -> list[Any]:
    specs, engines = iter(by_specs), iter(by_engine)
    return [next(specs if has else engines) for has in parted]


def _raised_first(builds: list[Any], return_exceptions: bool) -> list[Any]:
    if not return_exceptions:
        for built in builds:
            if isinstance(built, BaseException):
                raise built
    return builds


def _wait_here(job: Job) -> Any:
    """What comes of a job; waits in this thread."""
    if job.run():
        return job.result()
    # It wants something of Python's to be called, which may be a coroutine function.
    import asyncio

    try:
        asyncio.get_running_loop()
        # This thread has a loop that is busy with whoever waits here, as in a notebook.
        drive = _drive_elsewhere
    except RuntimeError:
        drive = _drive
    # Not in the handler, which would be told of in the traceback of what a builder raises.
    return drive(job)


def _drive(job: Job) -> Any:
    """Waits for a job on a loop of its own, in this thread."""
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(_wait(job, _call_here))
        try:
            return loop.run_until_complete(task)
        except BaseException:
            if not task.done():
                # Ctrl-C ends the loop wherever it was.
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
            raise
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _drive_elsewhere(job: Job) -> Any:
    """Waits for a job on a loop in another thread."""
    import contextvars
    import threading

    context = contextvars.copy_context()
    results: list[Any] = []
    failures: list[BaseException] = []

    def drive() -> None:
        try:
            results.append(context.run(_drive, job))
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=drive, name="tierce-loop", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_PAUSE)
    except BaseException:
        job.stop()
        thread.join(_CLEANUP)
        raise
    for failure in failures:
        raise failure
    return results[0]


async def wait_for(job: Job) -> Any:
    """What comes of a job; waits on the running loop, and stops it when cancelled."""
    return await _wait(job, _call_in_thread)


async def _wait(job: Job, call_plainly: Callable[[Call], Coroutine[Any, Any, Any]]) -> Any:
    import asyncio

    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    serving: set[asyncio.Task[None]] = set()

    def served(task: asyncio.Task[None]) -> None:
        serving.discard(task)
        if not task.cancelled():
            # The job knows what it raised, and the loop raises what is no failure.
            task.exception()

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(woken.set)
        except RuntimeError:
            # The loop was closed, and nobody waits any more.
            pass

    async def pause() -> None:
        # What happens is shown a few times a second; an end and calls are seen at once.
        timer = loop.call_later(_PAUSE, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()
            woken.clear()

    job.listen(wake)
    try:
        while not job.poll():
            for call in job.calls():
                task = loop.create_task(_serve(call, call_plainly))
                serving.add(task)
                task.add_done_callback(served)
            await pause()
        return job.result()
    finally:
        if not job.ended:
            job.stop()
        # Of a job that has ended these are calls that it gave up.
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving, timeout=_CLEANUP)
        while not job.ended:
            await pause()
        job.leave()


async def _serve(call: Call, call_plainly: Callable[[Call], Coroutine[Any, Any, Any]]) -> None:
    """Calls what is to be called, awaits it if need be, and hands back what comes of it."""
    import inspect

    try:
        if inspect.iscoroutinefunction(call.function):
            result = call.run()
        else:
            result = await call_plainly(call)
        if inspect.isawaitable(result):
            result = await result
    except Exception as failure:
        call.fail(failure)
    except BaseException as failure:
        # Ctrl-C, an exit, or a task that was cancelled: for whoever runs the loop.
        call.fail(failure)
        raise
    else:
        call.answer(result)


async def _call_here(call: Call) -> Any:
    return call.run()


async def _call_in_thread(call: Call) -> Any:
    import asyncio

    return await asyncio.to_thread(call.run)
