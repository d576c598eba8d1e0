"""A small fleet for development and tests: it takes bookings, sends taxis on paper, and fails on order."""
