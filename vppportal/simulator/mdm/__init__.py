"""A stand-in for NanoMDM on PostgreSQL, with simulated devices behind it.

What it says on the wire and the order in which it hands out commands were recorded from a real NanoMDM v0.9.0.
"""
