"""Marks of the tests in Python."""


def pytest_configure(config):
    config.addinivalue_line("markers", "once: runs in the plain build only (long, or judged by kills at random moments)")
