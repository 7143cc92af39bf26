"""The settings of an ONVIF device, one file a section: how it is read, what is legal there, how it is written.

unit      what all of them are handed: one channel of one device
messages  requests made of the device's own XML: what is not understood goes back as it came
sections  which function reads and writes which section, and by which operations
"""
