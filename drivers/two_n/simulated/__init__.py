"""The parts of a simulated 2N intercom, from the vendor's documents."""
