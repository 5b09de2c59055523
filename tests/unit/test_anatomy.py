"""One label table, one anatomical order."""

from columna import anatomy
from columna.anatomy import Semantic, anatomical_order, label_table, level_order, levels


def test_enumeration_and_label_table_are_in_step():
    table = {r.label: r.name for r in label_table() if r.mask == "semantic"}
    assert {int(s): s.name.lower() for s in Semantic} == table


def test_t13_lies_between_t12_and_l1():
    names = [levels()[label].name for label in anatomical_order([20, 28, 26, 19, 2])]
    assert names == ["C2", "T12", "T13", "L1", "S1"]


def test_level_orders_are_the_published_constants():
    wanted = {"C1": 1, "T12": 19, "T13": 20, "L1": 21, "L6": 26, "S1": 27}
    by_name = {row.name: label for label, row in levels().items()}
    assert {name: level_order(by_name[name]) for name in wanted} == wanted
    assert len(anatomy.vertebra_labels()) == 26


def test_colours_are_distinct_within_a_mask():
    for mask in ("semantic", "instance"):
        colours = [r.color for r in label_table() if r.mask == mask]
        assert len(set(colours)) == len(colours)
