"""The measure of relevance itself, and that the search stays far better than plain BM25 on the judged queries."""

import pytest

from bench.relevance import __main__ as relevance
from bench.relevance import judging
from bench.relevance.judging import ndcg


def test_the_measure_is_that_of_its_definition() -> None:
    grades = {1: 3, 2: 2, 3: 1}

    assert ndcg([1, 2, 3], grades) == pytest.approx(1.0)
    assert ndcg([9, 8], grades) == 0.0
    # (2^2-1)/log2(2) + (2^3-1)/log2(3), over 7 + 3/log2(3) + 1/2
    assert ndcg([2, 1], grades) == pytest.approx((3 + 7 / 1.58496) / (7 + 3 / 1.58496 + 0.5), abs=1e-4)


def test_on_the_clothes_shop_the_search_is_far_better_than_plain_bm25() -> None:
    catalogues = {"clothes": relevance.clothes()}
    queries = [query for query in judging.read(catalogues) if query.shop == "clothes"]
    with relevance.ours(catalogues) as ours:
        plain = relevance.plain(catalogues)
        means = [sum(ndcg(rank(query), query.grades) for query in queries) / len(queries) for rank in (plain, ours)]

    assert len(queries) > 20
    assert means[1] > 0.8 > means[0]
