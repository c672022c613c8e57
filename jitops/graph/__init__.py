"""The graph: types, primitives, equations, verification, canonical text, NumPy evaluation."""
