"""Delivery: each sink has a cursor into the outbox and its own pace; none of them ever slows a device."""
