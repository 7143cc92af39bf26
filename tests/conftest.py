"""What is collected, and how much hypothesis tries: a hundred examples; with `HYPOTHESIS_PROFILE=fuzz`, many."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Time is no matter of theirs: a shared machine is slow when it likes, and what has to be quick says so itself.
settings.register_profile("plain", deadline=None)
settings.register_profile(
    "fuzz", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
# The vendor's OpenAPI document is not a part of this project; `.ci/run` says where it is.
collect_ignore = [] if os.environ.get("FLUSSONIC_OPENAPI") else ["integration/test_flussonic_openapi.py"]

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "plain"))
