"""Plain NumPy functions, compiled once for exactly this machine."""
