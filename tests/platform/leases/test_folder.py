"""One process owns a data folder, and is let go of when it dies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hansa.platform.leases.folder import FolderOwned, Owner, find_owner, own


def test_a_second_owner_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first = own(tmp_path / "data")
    with pytest.raises(FolderOwned):
        own(tmp_path / "data")
    first.release()
    own(tmp_path / "data").release()


def test_the_owner_can_be_found_and_its_token_is_private(tmp_path: Path) -> None:
    owned = own(tmp_path)
    assert find_owner(tmp_path) is None
    owned.announce(Owner(process=1, address="http://127.0.0.1:1", token="secret"))
    found = find_owner(tmp_path)
    assert found is not None
    assert found.token == "secret"
    assert (tmp_path / "owner.json").stat().st_mode & 0o077 == 0
    owned.release()
    assert find_owner(tmp_path) is None


def test_a_killed_owner_leaves_the_folder_free(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from hansa.platform.leases.folder import own;"
        "kept = own(Path(sys.argv[1])); print('owned', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, env=os.environ)
    assert child.stdout is not None
    assert child.stdout.readline() == b"owned\n"
    with pytest.raises(FolderOwned):
        own(tmp_path)
    child.kill()
    child.wait()
    child.stdout.close()
    own(tmp_path).release()
