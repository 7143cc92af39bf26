"""The VMS's push contract: the catalogue of types, their bytes, and how a change of state becomes one."""
