"""The project package: wiring, and what lies below the token and catalog apps."""
