"""Parts of the simulated Hikvision panel."""
