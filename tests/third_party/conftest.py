"""The packages in here are not ours; `tests/contract/test_third_party.py` runs the test suite that each of them has."""

collect_ignore_glob = ["*"]
