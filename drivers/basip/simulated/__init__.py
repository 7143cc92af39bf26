"""A simulated BAS-IP panel, written from the vendor's API pages and manual."""
