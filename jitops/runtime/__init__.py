"""What outlives a call: the machine, the store, the loaded programs. Never the compiler."""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jitops._native import Program, detect_cpu
from jitops.cache.artifact import FORMAT
from jitops.cache.key import Key
from jitops.cache.sources import compiler_digest
from jitops.cache.store import Store, open_store
from jitops.config import Config, Settings
from jitops.errors import CompileError
from jitops.log import Log
from jitops.runtime.collector import Pause
from jitops.runtime.target import TRIPLES, Target, host_target, levels_of

if TYPE_CHECKING:
    from jitops._native import Cpu
    from jitops.cache.artifact import Artifact
    from jitops.cache.flight import Flights
    from jitops.manifest import Recorder
    from jitops.ranks import Ranks
    from jitops.runtime.background import Background

__all__ = ["TRIPLES", "Runtime"]

# The compiler that pyproject.toml pins; codegen refuses to work with another one.
TOOLCHAIN = "apache-tvm 0.27.0.post1, llvm 22"
ENTRY_CONVENTION = 1  # int32 entry(void* const* buffers): inputs, outputs, workspace


class Runtime:
    """The state behind all ops of a process. Safe from several threads.

    Everything is found out at first use: importing jitops reads no file and asks no CPU.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = allocate_lock()
        self._stores: dict[tuple[str, ...], Store] = {}  # by directories; under _lock
        self._flights: dict[str, Flights] = {}  # likewise
        self._programs: dict[str, Program] = {}  # by key; grows only, read without the lock
        self._recorders: dict[str, Recorder] = {}  # by path; under _lock
        self._background: Background | None = None
        self._ranks: Ranks | None = None
        self._cpu: Cpu | None = None
        self._target: Target | None = None
        self.failures: dict[str, CompileError] = {}  # by key; kernels that cannot be had
        self._constant_parts: dict[str, str] | None = None
        self.log = Log(None)
        self.collector_pause = Pause()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.settings.current()

    @property
    def cpu(self) -> Cpu:
        """This CPU, detected once."""
        if self._cpu is None:
            self._cpu = detect_cpu()
            self.log = Log(self.config.log)
            self.settings.prepare()
        return self._cpu

    @property
    def target(self) -> Target:
        """What kernels are compiled for: this machine, unless `jitops warm` set another."""
        if self._target is None:
            self._target = host_target(self.cpu)
        return self._target

    @target.setter
    def target(self, target: Target) -> None:
        self._target, self._constant_parts = target, None

    def store(self) -> Store:
        """The store of the configured cache directory, with the read-only ones behind it."""
        config = self.config
        directories = (config.cache_dir, *config.cache_readonly)
        found = self._stores.get(directories)
        if found is None:
            self.cpu  # noqa: B018  # sets up the log
            with self._lock:
                found = self._stores.get(directories)
                if found is None:
                    found = self._stores[directories] = open_store(config, self.log)
        return found

    def stored(self, key: Key) -> Artifact | None:
        """The artifact for this key: made for this machine, or for a level that it reaches."""
        store, target = self.store(), self.target
        if target.cpu is not self._cpu:  # prepared for other machines: nothing runs here
            return store.get(key, None)
        features = target.cpu["features"]
        found = store.get(key, features)
        if found is not None:
            return found
        for level in levels_of(target.cpu):
            found = store.get(Key({**key.parts, "target": level}), features)
            if found is not None:
                return found
        return None

    def produced(self, key: Key, produce: Callable[[], Artifact]) -> tuple[Artifact, bool]:
        """The artifact of this key, made once of all threads and processes; whether it was here."""
        store = self.store()
        self.ranks().leave_to_first(key, store)
        return self.flights(store).run(key, produce)

    def ranks(self) -> Ranks:
        """This process's place among those that a launcher started together."""
        if self._ranks is None:
            self._ranks = self.settings.ranks()
        return self._ranks

    def background(self) -> Background:
        """The process that compiles while this one goes on; it starts with its first job."""
        with self._lock:
            if self._background is None:
                from jitops.runtime.background import Background

                self._background = Background(self.log)
            return self._background

    def compiling(self, digest: str) -> bool:
        """Whether the kernel of this key is being compiled in the background."""
        return self._background is not None and self._background.busy(digest)

    def recorder(self) -> Recorder | None:
        """Where signatures are noted for `jitops warm`, if that is wanted."""
        path = self.config.record
        if path is None:
            return None
        from jitops.manifest import Recorder

        with self._lock:
            return self._recorders.setdefault(path, Recorder(path))

    def failed(self, digest: str, name: str, error: Exception) -> CompileError:
        """Remember that there is no kernel for this key, and say so once."""
        if not isinstance(error, CompileError):
            failure = CompileError(f"the kernel of op {name!r} cannot be loaded", found=str(error))
            failure.__cause__ = error
            error = failure
        known = self.failures.setdefault(digest, error)
        if not self.config.strict:
            self.log.once("failed " + digest, "op %s runs in NumPy: %s", name, known)
        return known

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
            package = os.path.dirname(os.path.dirname(__file__))
            self._constant_parts = {
                "target": self.target.text,
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

    def load(self, artifact: Artifact, digest: str, keep: bool = True) -> Program:
        """The program of an artifact whose bytes have been verified; loaded once per process.

        digest: of the key that was asked for; the artifact's own may be that of a level.
        keep: False for a program on trial.
        """
        program = self._programs.get(digest)
        if program is None or not keep:
            from jitops.runtime.load import load_program

            program = load_program(artifact)
            program = self._programs.setdefault(digest, program) if keep else program
        return program

    def forget(self, *_: Any) -> None:
        """Drop what is loaded, and what failed; the programs that ops still hold stay alive."""
        self._programs.clear()
        self.failures.clear()
