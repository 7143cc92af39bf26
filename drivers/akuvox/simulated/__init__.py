"""Parts of the simulated Akuvox panel."""
