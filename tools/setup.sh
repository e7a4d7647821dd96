#!/bin/sh
# Placeholder of the order of things: replaced by the real installer.
exit 0
