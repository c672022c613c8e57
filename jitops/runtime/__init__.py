"""What outlives a call: the machine, the store, the programs loaded so far. Never imports the compiler."""

from __future__ import annotations

import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

from jitops._native import Program, detect_cpu, set_threads
from jitops.cache.artifact import FORMAT
from jitops.cache.sources import compiler_digest
from jitops.cache.store import Store, open_store
from jitops.config import Config, Settings
from jitops.log import Log

if TYPE_CHECKING:
    from jitops._native import Cpu
    from jitops.cache.artifact import Artifact
    from jitops.cache.flight import Flights

__all__ = ["Runtime"]

# The compiler that pyproject.toml pins; codegen refuses to work with another one.
TOOLCHAIN = "apache-tvm 0.27.0.post1, llvm 22"
ENTRY_CONVENTION = 1  # int32 entry(void* const* buffers): inputs, outputs, workspace

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}


class Runtime:
    """The state behind all ops of a process. Safe from several threads.

    Everything is found out at first use: importing jitops reads no file and asks no CPU.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = allocate_lock()
        self._stores: dict[str, Store] = {}  # by cache directory; under _lock
        self._flights: dict[str, Flights] = {}  # likewise
        self._programs: dict[str, Program] = {}  # by key; grows only, read without the lock
        self._cpu: Cpu | None = None
        self._constant_parts: dict[str, str] | None = None
        self.log = Log(None)

    @property
    def config(self) -> Config:
        return self.settings.current()

    @property
    def cpu(self) -> Cpu:
        """This CPU, detected once."""
        if self._cpu is None:
            self._cpu = detect_cpu()
            self.log = Log(self.config.log)
            if self.config.num_threads is not None:
                set_threads(self.config.num_threads)
        return self._cpu

    def store(self) -> Store:
        """The store of the configured cache directory."""
        config = self.config
        found = self._stores.get(config.cache_dir)
        if found is None:
            self.cpu  # noqa: B018  # sets up the log
            with self._lock:
                found = self._stores.get(config.cache_dir)
                if found is None:
                    found = self._stores[config.cache_dir] = open_store(config, self.log)
        return found

    def flights(self, store: Store) -> Flights:
        """The compiles under way for a store."""
        from jitops.cache.flight import Flights  # threads and locks: only a miss needs them

        with self._lock:
            found = self._flights.get(store.directory)
            if found is None:
                found = self._flights[store.directory] = Flights(store, self.cpu["features"])
        return found

    def key_parts(self) -> dict[str, str]:
        """The parts of a cache key that do not depend on the op."""
        if self._constant_parts is None:
            cpu = self.cpu
            features = ",".join(sorted(cpu["features"]))
            package = os.path.dirname(os.path.dirname(__file__))
            self._constant_parts = {
                "target": f"{TRIPLES[cpu['arch']]} cpu={cpu['name']} features={features}",
                "tuning": "",
                "compiler": compiler_digest(package),
                "toolchain": TOOLCHAIN,
                "format": f"artifact {FORMAT}, entry {ENTRY_CONVENTION}",
            }
        fields = self.config.key_fields()
        numerics = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
        return {**self._constant_parts, "numerics": numerics}

    def loaded(self, digest: str) -> Program | None:
        """The program of this key, if this process has loaded it."""
        return self._programs.get(digest)

    def load(self, artifact: Artifact) -> Program:
        """The program of an artifact whose bytes have been verified; loaded once per process."""
        digest = artifact.key.digest
        program = self._programs.get(digest)
        if program is None:
            from jitops.runtime.load import load_program

            program = self._programs.setdefault(digest, load_program(artifact))
        return program

    def forget(self, *_: Any) -> None:
        """Drop what is loaded; the programs that ops still hold stay alive."""
        self._programs.clear()
