"""What simulated agents are made of; written from the MIBs."""
