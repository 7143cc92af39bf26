"""The drivers that come with device-bridge: one folder a device family, found through their entry points."""
