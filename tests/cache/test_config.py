from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading

import pytest
from handmade import ROOT

from jitops import errors
from jitops.config import FIELDS, Config, Settings
from jitops.errors import CacheUntrusted, ConfigError, JitopsError
from jitops.log import Log

HOME = {"HOME": "/home/ada"}


def test_defaults_come_without_any_variable() -> None:
    config = Config.from_environment(HOME)
    assert config.cache_dir == "/home/ada/.cache/jitops"
    assert (config.compile, config.num_threads, config.cache_size) == ("now", None, 1 << 30)
    assert [config.strict, config.disable, config.debug, config.check] == [False] * 4
    assert Config.from_environment({**HOME, "XDG_CACHE_HOME": "/x"}).cache_dir == "/x/jitops"
    relative = Config.from_environment({**HOME, "XDG_CACHE_HOME": "x"})
    assert relative.cache_dir == "/home/ada/.cache/jitops"


ACCEPTED = [
    ("CACHE_DIR", "/a/../b", "cache_dir", "/b"),
    ("CACHE_SIZE", "512M", "cache_size", 512 << 20),
    ("CACHE_SIZE", "1.5 GiB", "cache_size", 3 << 29),
    ("CACHE_SIZE", "12345", "cache_size", 12345),
    ("NUM_THREADS", "4", "num_threads", 4),
    ("COMPILE", "Background", "compile", "background"),
    ("THREADING", "OpenMP", "threading", "openmp"),
    ("STRICT", "1", "strict", True),
    ("STRICT", "off", "strict", False),
    ("LOG", "debug", "log", "debug"),
    ("DISABLE", "yes", "disable", True),
    ("DISABLE", "", "disable", False),
    ("CHECK", "TRUE", "check", True),
    ("DEBUG", "on", "debug", True),
]


@pytest.mark.parametrize(("variable", "text", "name", "value"), ACCEPTED)
def test_each_variable_sets_its_setting(variable: str, text: str, name: str, value: object) -> None:
    config = Config.from_environment({**HOME, "JITOPS_" + variable: text})
    assert getattr(config, name) == value
    assert Config("/c").replace(**{name: text or "0"}).as_dict()[name] == value


REFUSED = [
    ("NUM_THREADS", "0"),
    ("NUM_THREADS", "many"),
    ("COMPILE", "later"),
    ("THREADING", "tbb"),
    ("STRICT", "maybe"),
    ("LOG", "loud"),
    ("CACHE_SIZE", "-1"),
    ("CACHE_SIZE", "big"),
    ("CACHE_SIZE", "infG"),
    ("CACHE_DIR", "a\0b"),
]


@pytest.mark.parametrize(("variable", "text"), REFUSED)
def test_a_bad_value_names_the_variable_the_value_and_what_is_accepted(
    variable: str, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_environment({**HOME, "JITOPS_" + variable: text})
    field = next(f for f in FIELDS if f.variable == "JITOPS_" + variable)
    for part in ("JITOPS_" + variable, repr(text), field.accepted):
        assert part in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_the_tighter_of_our_limit_and_that_of_openmp_counts() -> None:
    assert Config.from_environment({**HOME, "OMP_NUM_THREADS": "3,2"}).num_threads == 3
    assert Config.from_environment({**HOME, "OMP_NUM_THREADS": "no"}).num_threads is None
    both = {**HOME, "OMP_NUM_THREADS": "3", "JITOPS_NUM_THREADS": "2"}
    assert Config.from_environment(both).num_threads == 2
    other = {**HOME, "OMP_NUM_THREADS": "3", "JITOPS_NUM_THREADS": "4"}
    assert Config.from_environment(other).num_threads == 3


def test_a_config_does_not_change() -> None:
    config = Config("/c")
    with pytest.raises(AttributeError, match="configure"):
        config.strict = True  # type: ignore[misc]
    assert config == Config("/c")
    assert hash(config) == hash(Config("/c"))
    assert config != config.replace(strict=True)
    assert "strict=False" in repr(config)


def test_unknown_settings_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no setting 'thread'.*num_threads"):
        Config("/c").replace(thread=1)
    with pytest.raises(AttributeError, match="num_threads"):
        print(Settings(HOME).thread)


def test_a_bad_variable_fails_the_first_use_not_the_import() -> None:
    settings = Settings({**HOME, "JITOPS_COMPILE": "later"})
    with pytest.raises(ConfigError, match="JITOPS_COMPILE"):
        settings.current()


def test_configure_is_for_the_process_and_options_for_the_block() -> None:
    settings = Settings(HOME)
    settings.configure(num_threads=4)
    with settings.options(num_threads=2, strict=True):
        assert (settings.num_threads, settings.strict) == (2, True)
        with settings.options(num_threads=1):
            settings.configure(compile="never")
            assert (settings.num_threads, settings.strict) == (1, True)
            assert settings.compile == "never"
        assert settings.num_threads == 2
    assert (settings.num_threads, settings.strict) == (4, False)
    before = settings.current()
    with pytest.raises(ConfigError, match="num_threads"):
        settings.configure(strict=True, num_threads=-1)
    assert settings.current() == before
    assert set(dir(settings)) >= {field.name for field in FIELDS}


def test_options_of_one_thread_are_not_seen_by_another() -> None:
    settings = Settings(HOME)
    seen = []
    with settings.options(num_threads=2):
        thread = threading.Thread(target=lambda: seen.append(settings.num_threads))
        thread.start()
        thread.join()
    assert seen == [None]


def test_settings_changed_from_many_threads_are_all_kept() -> None:
    settings = Settings(HOME)
    changes = [{"strict": True}, {"debug": True}, {"check": True}, {"num_threads": 2}]
    threads = [threading.Thread(target=settings.configure, kwargs=c) for c in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    config = settings.current()
    assert (config.strict, config.debug, config.check, config.num_threads) == (True, True, True, 2)


def test_only_settings_that_change_code_enter_the_key() -> None:
    one, other = Config("/a", num_threads=1), Config("/b", num_threads=8, strict=True)
    assert one.key_fields() == other.key_fields()


def test_nothing_else_of_jitops_reads_the_environment() -> None:
    offenders = [
        str(path)
        for path in (ROOT / "jitops").rglob("*.py")
        if path.name != "config.py"
        and any(word in path.read_text() for word in ("os.environ", "os.getenv", "putenv"))
    ]
    assert offenders == []


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_ours_and_survives_pickle(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, JitopsError)
    assert name in (errors.__doc__ or "")
    error = kind("no", where="a.py:3", found="x", accepted="y", way_out="Do z.")
    assert str(error) == "no (a.py:3): found x; accepted: y. Do z."
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.way_out) == (kind, str(error), "Do z.")
    assert str(kind("no")) == "no"


def test_errors_are_also_what_python_would_raise() -> None:
    assert issubclass(errors.BranchError, TypeError)
    assert issubclass(errors.ShapeError, ValueError)
    assert issubclass(errors.ArgumentError, TypeError)
    assert issubclass(errors.CacheMiss, LookupError)
    assert not issubclass(CacheUntrusted, OSError)  # a fallback for OSError must not swallow it


def test_a_log_level_shows_that_and_worse_on_stderr() -> None:
    code = "from jitops.log import Log\nlog = Log({!r})\nlog.info('i %d', 1)\nlog.error('e')"
    for level, shown in {"info": "ie", "error": "e", "off": "", None: "e"}.items():
        result = subprocess.run(
            [sys.executable, "-c", code.format(level)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert "".join(x.split(": ")[-1][0] for x in result.stderr.splitlines()) == shown


def test_a_program_that_set_up_logging_gets_our_messages(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "jitops")
    log = Log()
    log.debug("step")
    log.once("topic", "told")
    log.once("topic", "told")
    assert caplog.messages == ["step", "told"]


def test_the_documents_list_every_error_and_setting() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    tree = [line.strip() for line in (errors.__doc__ or "").splitlines() if "──" in line]
    assert tree == [line.strip() for line in text.splitlines() if "──" in line]
    for field in FIELDS:
        assert f"| `{field.name}` | `{field.variable}` | " in text
