"""Pure state machines: `step(state, evidence, now, policy) -> (state, change)`.

No clock, no I/O, no logging: what happened goes in, what follows comes out. Each state is a frozen dataclass whose
persistent part is what the store keeps; counters and monotonic times start afresh with the process, so that a
restart neither re-announces what is known nor declares anything dead before it has watched it for a full window.
"""
