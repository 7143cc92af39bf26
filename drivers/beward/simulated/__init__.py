"""Parts of the simulated Beward panel."""
