"""Progress bars, by rich; without it there are none."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from .image import Descriptor

__all__ = ["Bars"]


class Bars:
    """A bar a blob: entering gives what adds one, which gives what moves it on."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True))

    def __enter__(self) -> Callable[[Descriptor], Callable[[int], None]]:
        self._progress.start()

        def add(blob: Descriptor) -> Callable[[int], None]:
            task = self._progress.add_task(blob.digest[:19], total=blob.size)
            return lambda count: self._progress.advance(task, count)

        return add

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
