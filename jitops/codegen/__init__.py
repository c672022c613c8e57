"""Target, module, object code, shared library."""
