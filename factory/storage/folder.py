"""FolderStorage: pictures in a folder, as people like to see them; the API serves the links."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, unquote

from factory.errors import Conflict, Invalid, NotFound, Permanent, StorageDown
from factory.storage import Access, StoredObject
from factory.storage.links import sign_link
from factory.storage.naming import check_filename, check_key, check_prefix
from factory.storage.open_folder import open_file, open_folder
from factory.storage.write_new import write_new

_INCOMING = [".incoming"]  # keys never start with a dot, so it is in nobody's way and in no list
_SOMETHING_ELSE = {errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO}


class FolderStorage:
    """`root` is made when it is missing; files are 0644, folders 0755; links inside it are never followed."""

    def __init__(self, root: Path, *, public_url: str = "", link_secret: str = "") -> None:
        self.root, self._public_url, self._link_secret = root.resolve(), public_url, link_secret
        with self._disk():
            if not self.root.is_dir():
                self.root.mkdir(parents=True, exist_ok=True)
                self.root.chmod(0o755)
        self.sweep()

    @classmethod
    def from_url(cls, url: SplitResult, access: Access) -> Self:
        """`file:///absolute/folder`, or `file:relative`."""
        if url.netloc or not url.path:
            raise Permanent(f"FACTORY_STORAGE_URL {url.geturl()!r} names no local folder: write file:///folder, with three slashes")
        return cls(Path(unquote(url.path)), public_url=access.public_url, link_secret=access.link_secret)

    def put(self, key: str, content: bytes, *, media_type: str, sha256: str, filename: str) -> None:
        *folders, name = check_key(key)
        check_filename(filename)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Permanent(f"the content of {key!r} does not have the sha256 {sha256[:64]!r} that was given with it")
        with self._disk(key, writing=True), open_folder(self.root, _INCOMING, make=True) as incoming:
            fresh = uuid.uuid4().hex
            write_new(fresh, [content], dir_fd=incoming)
            try:
                with open_folder(self.root, folders, make=True) as folder:
                    os.link(fresh, name, src_dir_fd=incoming, dst_dir_fd=folder)  # unlike rename, never replaces
                    os.fsync(folder)
            except FileExistsError:
                if self._digest(key) != sha256:
                    raise Conflict(f"{key!r} already holds other bytes; objects are never replaced") from None
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(fresh, dir_fd=incoming)

    def get(self, key: str) -> bytes:
        with self._disk(key), open_file(self.root, check_key(key)) as fd, os.fdopen(fd, "rb", closefd=False) as file:
            return file.read()

    def url(self, key: str, *, seconds: int, filename: str) -> str:
        return sign_link(self._public_url, self._link_secret, key, seconds=seconds, filename=filename)

    def stat(self, key: str) -> StoredObject | None:
        """Reads the file: its sha256 is what the disk holds now."""
        try:
            with self._disk(key), open_file(self.root, check_key(key)) as fd:
                facts = os.fstat(fd)
            return StoredObject(key, facts.st_size, self._digest(key), datetime.fromtimestamp(facts.st_mtime, UTC))
        except NotFound:
            return None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        with self._disk():
            yield from self._below("", prefix)

    def delete(self, key: str) -> None:
        *folders, name = check_key(key)
        with contextlib.suppress(NotFound), self._disk(key), open_folder(self.root, folders) as folder:
            if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=folder)

    def check(self) -> None:
        with self._disk(), open_folder(self.root, _INCOMING, make=True) as incoming:
            probe = uuid.uuid4().hex
            write_new(probe, [bytes(4096)], dir_fd=incoming)
            os.unlink(probe, dir_fd=incoming)

    def sweep(self, *, older_than_seconds: float = 3600) -> int:
        """Remove what killed writers left unfinished; how many. Runs at every start."""
        removed, before = 0, time.time() - older_than_seconds
        with self._disk(), contextlib.suppress(FileNotFoundError), open_folder(self.root, _INCOMING) as incoming:
            for name in os.listdir(incoming):  # noqa: PTH208 (a descriptor, not a path)
                with contextlib.suppress(FileNotFoundError):
                    if os.stat(name, dir_fd=incoming, follow_symlinks=False).st_mtime < before:
                        os.unlink(name, dir_fd=incoming)
                        removed += 1
        return removed

    def _digest(self, key: str) -> str:
        with self._disk(key), open_file(self.root, check_key(key)) as fd, os.fdopen(fd, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _below(self, folder: str, prefix: str) -> Iterator[StoredObject]:
        for path in sorted((self.root / folder).iterdir()):
            key = folder + path.name
            with contextlib.suppress(Invalid, FileNotFoundError):  # a stranger's file, or one deleted meanwhile
                check_key(key)
                facts = path.lstat()
                if stat.S_ISDIR(facts.st_mode) and (f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/")):
                    yield from self._below(f"{key}/", prefix)
                elif stat.S_ISREG(facts.st_mode) and key.startswith(prefix):
                    yield StoredObject(key, facts.st_size, None, datetime.fromtimestamp(facts.st_mtime, UTC))

    @contextlib.contextmanager
    def _disk(self, key: str = "", *, writing: bool = False) -> Iterator[None]:
        """Say what an OSError means for `key`."""
        try:
            yield
        except OSError as error:
            if key and error.errno in _SOMETHING_ELSE and self.root.is_dir():
                wrong = Conflict if writing else NotFound
                raise wrong(f"{key!r} is no file of the storage: a folder, a link or another file is in its place") from error
            if key and error.errno == errno.ENOENT and not writing and self.root.is_dir():
                raise NotFound(f"the storage holds no {key!r}") from error
            raise StorageDown(
                f"the folder {self.root} failed: {error.strerror or error}; free or mount its disk, then check its owner"
            ) from error
