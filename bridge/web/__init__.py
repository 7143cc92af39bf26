"""The bridge's HTTP side: what people, clients and devices call."""
