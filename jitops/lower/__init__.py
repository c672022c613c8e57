"""Graph to kernels, and the code of their elements."""
