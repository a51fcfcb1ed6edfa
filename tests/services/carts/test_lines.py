"""Who may use a cart, and what comes of two carts in one."""

from hypothesis import given
from hypothesis import strategies as st

from hansa.services.carts import rules
from hansa.services.carts.contract import LARGEST_QUANTITY, MOST_LINES, CartLine

CARTS = st.dictionaries(st.integers(0, 150).map(str), st.integers(1, LARGEST_QUANTITY), max_size=MOST_LINES).map(
    lambda quantities: tuple(CartLine(sku=sku, quantity=quantity) for sku, quantity in quantities.items())
)


@given(CARTS, CARTS)
def test_merging_adds_quantities_and_keeps_within_what_a_cart_can_hold(into, lines):
    merged = {line.sku: line.quantity for line in rules.merged(into, lines)}
    first, second = ({line.sku: line.quantity for line in cart} for cart in (into, lines))

    assert len(merged) == min(MOST_LINES, len(first.keys() | second.keys()))
    assert first.keys() <= merged.keys()
    for sku, quantity in merged.items():
        assert quantity == min(LARGEST_QUANTITY, first.get(sku, 0) + second.get(sku, 0))


def test_a_members_cart_is_the_members_only():
    assert rules.may_use(owner="1", secret="", asking="1", given="")
    assert not rules.may_use(owner="1", secret="", asking="2", given="")
    assert not rules.may_use(owner="1", secret="", asking=None, given="")
    assert not rules.may_use(owner="1", secret="", asking="1", given="abc")


def test_a_guests_cart_is_whoevers_has_its_whole_name():
    assert rules.may_use(owner=None, secret="abc", asking=None, given="abc")
    assert rules.may_use(owner=None, secret="abc", asking="1", given="abc")
    assert not rules.may_use(owner=None, secret="abc", asking="1", given="")
    assert not rules.may_use(owner=None, secret="abc", asking=None, given="abd")
    assert not rules.may_use(owner=None, secret="", asking=None, given="")


@given(CARTS, st.lists(CARTS, max_size=2).map(lambda parts: sum(parts, ())))
def test_what_is_left_over_and_what_was_ordered_of_a_cart_make_up_the_cart(held, ordered):
    left = {line.sku: line.quantity for line in rules.left_over(held, ordered)}
    taken: dict[str, int] = {}
    for line in ordered:
        taken[line.sku] = taken.get(line.sku, 0) + line.quantity

    for line in held:
        assert left.pop(line.sku, 0) + min(line.quantity, taken.get(line.sku, 0)) == line.quantity
    assert not left
