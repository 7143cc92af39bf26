"""For those who test drivers: simulated devices, faults, a clock that stands still, and the contract kit.

Installed with the bridge, so that a driver of another package is tested with the same kit as ours.
"""
