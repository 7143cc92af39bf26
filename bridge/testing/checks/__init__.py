"""The checks of the contract kit, by what they are about. Use them through `bridge.testing.contract`."""
