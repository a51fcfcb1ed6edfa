"""The disk that is full for a while: nothing can be written, nothing is lost, and then there is room again."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.disk import Disk, Rationed, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "kept").write_text("from before")
    disk = small_disk(tmp_path, megabytes=2, processes=lambda: [])
    yield disk
    disk.close()


def test_a_full_disk_takes_nothing_until_there_is_room_again(disk: Disk, tmp_path: Path) -> None:
    if isinstance(disk, Rationed):
        assert "no rights" in disk.what, "chaos says so and makes do"
        return

    assert disk.fill()
    with pytest.raises(OSError, match="No space left") as refused:
        (tmp_path / "new").write_bytes(b"x" * 10_000)
    assert refused.value.errno == errno.ENOSPC

    disk.free()
    (tmp_path / "new").write_bytes(b"x" * 10_000)
    assert (tmp_path / "kept").read_text() == "from before"
