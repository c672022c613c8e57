"""The native core: dispatch, thread pool, result memory, library loading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, final

Input: TypeAlias = tuple[
    str,  # "array" or "scalar"
    str,  # dtype name, such as "float32"
    Sequence[int] | None,  # shape
    Sequence[int] | None,  # strides in bytes; None: C order
    bool,  # mutated
    int | None,  # a Python integer below this goes to `miss`
    int | None,  # a Python integer above this goes to `miss`
]
Output: TypeAlias = tuple[str, Sequence[int]]  # dtype name, shape
View: TypeAlias = tuple[
    int,  # buffer of the entry
    int,  # offset in bytes
    str,  # dtype name
    tuple[int, ...],  # shape
    tuple[int, ...],  # strides in bytes
]
# An entry's address; or what is called between entries, with a tuple of arrays and the binding's
# objects, and gives a tuple of arrays.
Step: TypeAlias = (
    tuple[int]
    | tuple[Callable[..., tuple[Any, ...]], Sequence[View], Sequence[View | None]]
)
Leaf: TypeAlias = tuple[
    Any,  # the object
    Literal["array", "tensor", "scalar", "int", "float", "complex", "object"],
    str | None,  # dtype name; None for Python numbers and for dtypes no kernel takes
    tuple[int, ...] | None,  # shape
    tuple[int, ...] | None,  # strides in bytes, 0 on axes of extent 1; None: C order
    bool,  # fits: aligned, native byte order, known dtype
    bool,  # writable
]

class Cpu(TypedDict, total=False):
    arch: str
    features: list[str]
    name: str
    brand: str
    vector_bits: int
    l1d: int
    l2: int
    l3: int

class Budget(TypedDict):
    affinity: int
    quota: float | None
    threads: int

class PoolStats(TypedDict):
    threads: int
    workers: int
    launches: int
    joined: int
    alone: int

class Threading(TypedDict):
    mode: str
    openmp: list[str]
    joins: str | None

class MemoryStats(TypedDict):
    retained_bytes: int
    limit_bytes: int
    system_allocations: int
    system_releases: int

parallel_launch: int

def detect_cpu() -> Cpu: ...
def detect_budget(root: str = "/") -> Budget: ...
def set_threads(count: int | None, /) -> None: ...
def get_threads() -> int: ...
def set_thread_limit(count: int | None, /) -> int | None: ...
def set_threading(mode: str, passive: bool = False) -> None: ...
def threading() -> Threading: ...
def pool_stats() -> PoolStats: ...
def memory_stats() -> MemoryStats: ...
def trim_memory() -> int: ...

@final
class Library:
    def __new__(cls, image: bytes | bytearray | memoryview) -> Library: ...
    def symbol(self, name: str, /) -> int: ...

@final
class Program:
    def __new__(
        cls,
        library: Library,
        symbol: int | str,
        inputs: Iterable[Input],
        outputs: Iterable[Output],
        workspace: Any = 0,
        cost_ns: float = 0,
        parallel: bool = False,
        name: str = "kernel",
        failures: Iterable[tuple[type[Exception], str]] = (),
        steps: Iterable[Step] = (),
        cost_each: Iterable[float] = (),
    ) -> Program: ...

@final
class Binding:
    def __new__(
        cls,
        program: Program,
        sources: Iterable[Any],
        result: tuple[Any, ...],
        objects: tuple[Any, ...] = (),
        guards: tuple[tuple[Any, Any, object], ...] = (),
    ) -> Binding: ...

@final
class Value:
    def __new__(cls, object: Any) -> Value: ...

class Dispatcher:
    hits: int
    size: int
    def __init__(
        self,
        name: str,
        miss: Callable[[tuple[Any, ...], dict[str, Any]], Binding | Value],
        static_names: Iterable[str] | None = None,
        parameters: Iterable[str] | None = None,
        threads: int | None = None,
    ) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any: ...
    def insert(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None, binding: Binding, /
    ) -> None: ...
    def leaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None, /) -> list[Leaf]: ...
    def set_static(self, names: Iterable[str], /) -> None: ...
    def clear(self) -> None: ...
