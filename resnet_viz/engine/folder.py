"""Values in files: those that several processes share lie in a private folder, the ones not used for longest going first; those
that come with the project in one archive."""

import io
import os
import pickle
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

__all__ = ["Archive", "Folder"]


class Folder:
    """Values under names in a folder, of ``limit`` bytes at most. Any process may read, write and tidy it at any time."""

    def __init__(self, path: str | Path, limit: int) -> None:
        self.path, self.limit = Path(path), limit

    def find(self, name: str) -> Any | None:
        """The value under a name, None where there is none (any more)."""
        try:
            text = (self.path / name).read_bytes()
            os.utime(self.path / name)
        except FileNotFoundError:
            return None
        return pickle.loads(text)

    def has(self, name: str) -> bool:
        """Whether there is such a value; if so, it counts as used now."""
        with suppress(FileNotFoundError):
            os.utime(self.path / name)
            return True
        return False

    def put(self, name: str, value: Any) -> None:
        """Keep a value, all of it or nothing. Where the disk is full, it is not kept."""
        with suppress(OSError):
            number, path = tempfile.mkstemp(dir=self.path, prefix=".")
            unfinished = Path(path)
            try:
                with os.fdopen(number, "wb") as file:
                    pickle.dump(value, file, protocol=5)
                unfinished.replace(self.path / name)
            except BaseException:
                unfinished.unlink()
                raise
            self.tidy()

    def tidy(self) -> None:
        """Let the values go that were not used for longest, until the others fit; the newest stays."""
        files = []
        for entry in os.scandir(self.path):
            with suppress(FileNotFoundError):
                files.append((entry.stat().st_mtime_ns, entry.stat().st_size, Path(entry.path)))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files)[:-1]:
            if total <= self.limit:
                return
            with suppress(FileNotFoundError):
                path.unlink()
            total -= size


class Archive:
    """Values under names in one file that nobody changes. It is read at once: processes forked later share no place in it."""

    def __init__(self, path: Path) -> None:
        self._values = ZipFile(io.BytesIO(path.read_bytes())) if path.is_file() else None
        self._names = frozenset(self._values.namelist() if self._values else ())

    def find(self, name: str) -> Any | None:
        """The value under a name, None where there is none."""
        if name not in self._names or self._values is None:
            return None
        return pickle.loads(self._values.read(name))

    @staticmethod
    def write(path: Path, files: Iterable[Path]) -> None:
        """Make an archive of the files of a ``Folder``; the same files make the same bytes."""
        with ZipFile(path, "w") as archive:
            for file in sorted(files):
                archive.writestr(ZipInfo(file.name), file.read_bytes(), ZIP_DEFLATED, 9)
