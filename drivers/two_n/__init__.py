"""2N IP intercoms (HTTP API of 2N OS, firmware 2.10 and later)."""
