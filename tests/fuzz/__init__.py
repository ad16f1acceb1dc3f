"""What whoever sends bytes to the gateway can make of them: targets for fuzzers, each with its oracle.

A target takes any bytes and fails where a promise is broken. ``make fuzz`` feeds each with what a coverage-guided
fuzzer finds (``__main__.py``); the test run replays the kept corpora and lets hypothesis try.
"""
