"""What device families share on the wire. Nothing in here knows a vendor's product."""
