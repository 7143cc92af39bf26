"""ONVIF cameras, NVRs and door panels (Core, Media 1 and 2, Events, WS-Discovery)."""
