"""What becomes of one's words when somebody else was quicker, whoever changed what."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.web.admin.editing import marks, merged

NAMES = st.sampled_from(["name", "brand", "description"])
VALUES = st.dictionaries(NAMES, st.sampled_from(["", "a", "b", "帽"]))


def test_what_only_the_other_one_changed_is_taken():
    outcome = merged(mine={"name": "a"}, theirs={"name": "b"}, seen=marks({"name": "a"}))

    assert outcome.values == {"name": "b"}
    assert [(each.name, each.is_contested) for each in outcome.differences] == [("name", False)]


def test_what_only_i_changed_stays_and_is_no_difference():
    outcome = merged(mine={"name": "b"}, theirs={"name": "a"}, seen=marks({"name": "a"}))

    assert (outcome.values, outcome.differences) == ({"name": "b"}, ())


def test_what_both_changed_stays_mine_and_is_contested():
    outcome = merged(mine={"name": "b"}, theirs={"name": "c"}, seen=marks({"name": "a"}))

    assert outcome.values == {"name": "b"}
    assert [(each.theirs, each.mine, each.is_contested) for each in outcome.differences] == [("c", "b", True)]


@given(mine=VALUES, theirs=VALUES, seen=VALUES)
def test_nothing_of_anybody_is_lost_unseen(mine: dict[str, str], theirs: dict[str, str], seen: dict[str, str]):
    outcome = merged(mine=mine, theirs=theirs, seen=marks(seen))
    told = {each.name for each in outcome.differences}
    for name in {*mine, *theirs}:
        my, their, began = mine.get(name, ""), theirs.get(name, ""), seen.get(name, "")
        assert outcome.values[name] in (my, their)
        if my != began:
            assert outcome.values[name] == my
        if their not in (began, outcome.values[name]):
            assert name in told


@given(mine=VALUES, theirs=VALUES, seen=st.text())
def test_forged_marks_never_let_anybody_overwrite_what_they_were_not_shown(
    mine: dict[str, str], theirs: dict[str, str], seen: str
):
    outcome = merged(mine=mine, theirs=theirs, seen=seen)
    told = {each.name for each in outcome.differences}
    assert {name for name, value in theirs.items() if value and outcome.values[name] != value} <= told
