"""A forest of regression trees as plain arrays: stored as JSON, evaluated by numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAF = -1


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose answers are averaged; all arrays have one entry per node, but `roots`.

    Parameters
    ----------
    feature
        Which feature decides, `LEAF` where the node is a leaf.
    threshold
        Values up to it go left.
    left, right
        Nodes below.
    value
        Answer of a leaf.
    roots
        First node of every tree.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray

    @classmethod
    def of(cls, trees: Sequence[Mapping[str, Sequence[float]]]) -> "Forest":
        """Join trees of the keys ``feature``, ``threshold``, ``left``, ``right``, ``value``.

        Raises
        ------
        ValueError
            If lists are not of one length, or a node points backwards or beyond its tree: such
            trees might never end.
        """
        sizes = [len(tree["feature"]) for tree in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
        parts: dict[str, list[np.ndarray]] = {}
        for tree, root, size in zip(trees, roots, sizes, strict=True):
            for name in ("feature", "threshold", "left", "right", "value"):
                values = np.asarray(tree[name], float)
                if values.shape != (size,) or not np.isfinite(values).all():
                    raise ValueError(f"a tree's {name} is no list of {size} numbers")
                parts.setdefault(name, []).append(values)
            inner = parts["feature"][-1] >= 0
            for name in ("left", "right"):
                below = parts[name][-1]
                if ((below <= np.arange(size)) | (below >= size))[inner].any():
                    raise ValueError("a node of a tree points backwards or beyond it")
                parts[name][-1] = below + root
        joined = {name: np.concatenate(values) for name, values in parts.items()}
        whole = {name: joined[name].astype(int) for name in ("feature", "left", "right")}
        return cls(**{**joined, **whole}, roots=roots)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Mean answer of all trees for features (n, f), shape (n,)."""
        node = np.tile(self.roots, (len(features), 1))
        row = np.arange(len(features))[:, None]
        while True:
            column = self.feature[node]
            inner = column >= 0
            if not inner.any():
                return np.asarray(self.value[node].mean(axis=1))
            goes_left = features[row, np.maximum(column, 0)] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            node = np.where(inner, below, node)


def tree_as_lists(tree: Any, digits: int = 5) -> dict[str, list[float]]:
    """Nodes of a fitted tree of scikit-learn (``tree_``), as `Forest.of` takes them."""
    is_leaf = tree.children_left < 0
    return {
        "feature": np.where(is_leaf, LEAF, tree.feature).tolist(),
        "threshold": np.where(is_leaf, 0, tree.threshold).round(digits).tolist(),
        "left": np.where(is_leaf, 0, tree.children_left).tolist(),
        "right": np.where(is_leaf, 0, tree.children_right).tolist(),
        "value": tree.value.reshape(-1).round(digits).tolist(),
    }
