"""What the compiler needs of a traced call, and nothing of the program that it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jitops.cache.key import Key
from jitops.errors import GraphError
from jitops.graph.graph import Graph
from jitops.graph.types import Shape

__all__ = ["Unit"]


class Unit:
    """One kernel to be compiled; it can go to another process as JSON.

    name: of the op. graph: the traced graph. key: what it is stored under.
    inputs: kind, dtype, shape, strides (bytes; None: C order), mutated, low and high of each
        parameter, as the launch plan of the artifact has them.
    mutated: parameter index -> index in graph.results of what is written back to it.
    cpu: arch, name, features and vector_bits of the machine to compile for.
    debug: verify at the stage boundaries.
    """

    __slots__ = ("cpu", "debug", "graph", "inputs", "key", "mutated", "name")

    def __init__(
        self,
        name: str,
        graph: Graph,
        key: Key,
        inputs: Sequence[Mapping[str, Any]],
        mutated: Mapping[int, int],
        cpu: Mapping[str, Any],
        debug: bool = False,
    ) -> None:
        self.name = name
        self.graph = graph
        self.key = key
        self.inputs = inputs
        self.mutated = mutated
        self.cpu = cpu
        self.debug = debug

    def element_strides(self) -> list[Shape | None]:
        """The strides of each parameter, in elements; None: C order."""
        return [
            None
            if i["strides"] is None
            else tuple(s // p.type.dtype.itemsize for s in i["strides"])
            for i, p in zip(self.inputs, self.graph.params)
        ]

    def to_json(self) -> dict[str, Any]:
        """The unit in JSON types. Raises GraphError where the graph has no JSON form."""
        from jitops.graph.serial import to_json

        cpu = {name: self.cpu[name] for name in ("arch", "name", "features", "vector_bits")}
        return {
            "name": self.name,
            "graph": to_json(self.graph),
            "key": dict(self.key.parts),
            "inputs": list(self.inputs),
            "mutated": sorted(self.mutated.items()),
            "cpu": cpu,
            "debug": self.debug,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Unit:
        """The unit of this JSON. Raises GraphError unless its graph is the one its key names."""
        from jitops.graph.serial import from_json

        graph, key = from_json(data["graph"]), Key(data["key"])
        if str(graph) != key.parts["graph"]:
            raise GraphError("a graph that arrived is not the one that its key names")
        mutated = dict(data["mutated"])
        return cls(
            data["name"], graph, key, data["inputs"], mutated, data["cpu"], bool(data["debug"])
        )
