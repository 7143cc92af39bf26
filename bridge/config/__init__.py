"""The inventory: one YAML 1.2 file that says which devices there are, how to watch them and where pushes go.

`load(path)` gives an `Inventory` or raises `InvalidInventory` with all problems, each with its line.
"""

from bridge.config.load import Inventory, load, load_bytes
from bridge.config.problems import InvalidInventory, Problem

__all__ = ["InvalidInventory", "Inventory", "Problem", "load", "load_bytes"]
