"""SNMP traps and informs: one UDP listener for all devices, knowing the protocol and no vendor."""
