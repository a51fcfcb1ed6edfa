"""What is remembered of changes."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.platform.cache.changes import Changes


def test_a_fill_is_late_if_one_of_its_tags_has_changed_since_it_began():
    changes = Changes()
    since = changes.number
    changes.tell(("a",))

    assert changes.is_changed(("b", "a"), since=since)
    assert not changes.is_changed(("b",), since=since)
    assert not changes.is_changed(("a",), since=changes.number)


@given(st.lists(st.lists(st.integers(0, 30).map(str), max_size=5), max_size=40), st.integers(1, 10), st.data())
def test_however_little_is_remembered_no_change_is_missed(told: list[list[str]], most: int, data: st.DataObject):
    changes = Changes(most=most)
    numbers = [changes.number]
    for tags in told:
        changes.tell(tags)
        numbers.append(changes.number)
    began = data.draw(st.integers(0, len(told)))

    for tag in {tag for tags in told[began:] for tag in tags}:
        assert changes.is_changed((tag,), since=numbers[began])


def test_what_is_remembered_is_bounded_and_errs_on_the_safe_side():
    changes = Changes(most=2)
    since = changes.number
    changes.tell(("a",))
    changes.tell(("b",))
    changes.tell(("c",))

    assert changes.is_changed(("z",), since=since), "what is forgotten may have been anything"
    assert not changes.is_changed(("z",), since=changes.number)
