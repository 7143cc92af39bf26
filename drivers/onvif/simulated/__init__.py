"""The parts of `drivers.onvif.simulator`: a device as the ONVIF documents and reports of real firmwares describe it.

times, zones, soap, digest, reading    how values, messages and Digest answers are read and written; no state
makes, limits, quirks    what distinguishes one firmware from another
settings, factory        what can be set, and what a new device comes with
state, events            what a device knows, and whom it tells
*_service, operations    the operations: a request in, the body of the reply out
auth                     who is let in
wire, faults, doors      HTTP, with what goes wrong on it
rtsp, notify, discovery  the other protocols: RTSP, base notification, WS-Discovery
actions                  what happens in front of the device, and to it
"""
