"""The parts of `drivers.flussonic.simulator`: a media server as its vendor's documents describe it.

query      the grammar of collections: filters, order, pages with cursors, selection of fields
media      streams: their configuration, and statistics that follow from what happens to them
sinks      event sinks: batches, one after the other, kept and sent again when nobody takes them
dvr        what is recorded, and clips of it
legacy     the API of servers up to version 21
"""
