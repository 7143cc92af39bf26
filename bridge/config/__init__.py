"""The inventory: one YAML 1.2 file that says which devices there are, how to watch them and where pushes go.

`load.load(path)` gives an `Inventory` or raises `InvalidInventory` with all problems, each with its line.
"""
