"""Keeping pictures in a folder, whatever happens meanwhile."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hansa.kernel.errors import Fault, StorageFull
from hansa.platform.files import pictures as taking
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.pictures import MOST_WAITING, Pictures
from hansa.platform.files.port import LARGEST_FILE, NotAPicture
from hansa.platform.files.preparing import prepare
from tests.platform.files.samples import encoded, halves

RED = prepare(encoded(halves(400, 300)))
KILLED_AT_THE_RENAME = """
import asyncio, os, sys
from pathlib import Path
from hansa.platform.files.folder import FolderFiles
from hansa.platform.files.preparing import prepare
os.rename = lambda *_: os._exit(7)
contents = prepare(sys.stdin.buffer.read()).contents
asyncio.run(FolderFiles(folder=Path(sys.argv[1])).put(contents=contents))
"""


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def files(tmp_path: Path) -> FolderFiles:
    return FolderFiles(folder=tmp_path / "media")


async def test_what_was_put_is_read_by_name(files: FolderFiles, tmp_path: Path):
    await files.put(contents=RED.contents)

    assert {name: await files.read(name=name) for name in RED.contents} == RED.contents
    assert (tmp_path / "media" / RED.address[:2] / RED.address).is_file()
    assert files_in(tmp_path) == set(RED.contents)


async def test_what_was_not_put_is_none_and_so_is_what_is_no_name(files: FolderFiles, tmp_path: Path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")

    for name in (RED.address, "../secret.jpg", "secret.jpg", "", "\0", "a" * 5000):
        assert await files.read(name=name) is None


async def test_the_same_again_changes_nothing(files: FolderFiles, tmp_path: Path):
    await files.put(contents=RED.contents)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    await asyncio.gather(*(files.put(contents=RED.contents) for _ in range(5)))

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


async def test_many_at_once_leave_each_file_whole(files: FolderFiles, tmp_path: Path):
    await asyncio.gather(*(files.put(contents=RED.contents) for _ in range(20)))

    assert {name: await files.read(name=name) for name in RED.contents} == RED.contents
    assert files_in(tmp_path) == set(RED.contents)


@pytest.mark.parametrize("name", ["../a.jpg", "a.jpg", f"{RED.address}/x", RED.address.upper()])
async def test_what_is_no_name_is_not_kept(files: FolderFiles, tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="not the name"):
        await files.put(contents={name: b"x"})
    assert files_in(tmp_path) == set()


async def test_what_is_too_large_is_neither_kept_nor_read(files: FolderFiles, tmp_path: Path):
    with pytest.raises(ValueError, match="too large"):
        await files.put(contents={RED.address: bytes(LARGEST_FILE + 1)})
    file = tmp_path / "media" / RED.address[:2] / RED.address
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(LARGEST_FILE + 1))

    assert await files.read(name=RED.address) is None


async def test_a_process_killed_before_the_rename_leaves_nothing_that_could_be_read(files: FolderFiles, tmp_path: Path):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_THE_RENAME, str(tmp_path / "media")], input=encoded(halves(400, 300))
    )

    assert killed.returncode == 7
    (scrap,) = files_in(tmp_path)
    assert scrap.endswith(".part")
    assert [await files.read(name=name) for name in (*RED.contents, scrap)] == [None] * (len(RED.contents) + 1)
    await files.put(contents=RED.contents)
    assert await files.read(name=RED.address) == RED.contents[RED.address]


async def test_a_full_disk_is_a_fault_and_leaves_no_scrap(
    files: FolderFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageFull):
        await files.put(contents=RED.contents)
    assert files_in(tmp_path) == set()


async def test_a_folder_that_cannot_be_used_is_a_fault(tmp_path: Path):
    (tmp_path / "media").write_bytes(b"")

    with pytest.raises(Fault):
        await FolderFiles(folder=tmp_path / "media").put(contents=RED.contents)


async def test_a_picture_is_taken_in_once_however_often_it_comes(files: FolderFiles, tmp_path: Path):
    pictures = Pictures(files=files)

    addresses = {(await pictures.put(data=encoded(halves(400, 300)))).address for _ in range(3)}

    assert addresses == {RED.address}
    assert files_in(tmp_path) == set(RED.contents)


async def test_nothing_is_kept_of_what_is_no_picture(files: FolderFiles, tmp_path: Path):
    with pytest.raises(NotAPicture):
        await Pictures(files=files).put(data=b"<html>")
    assert files_in(tmp_path) == set()


async def test_ready_pictures_are_kept_as_they_are_and_false_ones_not_at_all(files: FolderFiles, tmp_path: Path):
    pictures = Pictures(files=files)

    with pytest.raises(ValueError, match="digest"):
        await pictures.put_ready(contents={**RED.contents, RED.address: encoded(halves(400, 300), quality=10)})
    assert files_in(tmp_path) == set()
    await pictures.put_ready(contents=RED.contents)
    assert {name: await files.read(name=name) for name in RED.contents} == RED.contents


async def test_one_picture_is_prepared_at_a_time_and_few_may_wait(files: FolderFiles, monkeypatch: pytest.MonkeyPatch):
    at_work, most, may_go_on = 0, 0, threading.Event()

    def slowly(data: bytes) -> Any:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        may_go_on.wait(10)
        at_work -= 1
        return RED

    monkeypatch.setattr(taking, "prepare", slowly)
    pictures = Pictures(files=files)
    waiting = [asyncio.create_task(pictures.put(data=b"")) for _ in range(MOST_WAITING + 1)]
    for _ in range(3):
        await asyncio.sleep(0)

    with pytest.raises(Fault):
        await pictures.put(data=b"")
    waiting[0].cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    await asyncio.to_thread(lambda: None)  # behind whatever else was handed to the threads by now
    may_go_on.set()
    done = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(done[0], asyncio.CancelledError)
    assert done[1:] == [RED] * MOST_WAITING
    assert most == 1
