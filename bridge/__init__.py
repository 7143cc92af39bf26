"""device-bridge: cameras and intercom panels on site, pushes to the VMS's clients."""

__version__ = "0.1.0"
