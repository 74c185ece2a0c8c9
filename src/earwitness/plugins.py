"""What is known by name: what comes with Earwitness, and what installed packages add to it by entry points.

A package adds a back end, say, by a line of its own project file, and is found once it is installed::

    [project.entry-points."earwitness.backends"]
    tone = "earwitness_tone:load_tone"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from .errors import ConfigError, brief

T = TypeVar("T")

#: what packages may add: the group of the entry points, and what each is
GROUPS = {
    "earwitness.backends": "models: a scheme, from its target, device and trust to a Model",
    "earwitness.searches": "searches: from a Problem to a generator of masks",
    "earwitness.layouts": "layouts of data sets: a Reader",
    "earwitness.views": "harmless changes of a signal: from samples, rate, amount and a generator to samples",
    "earwitness.tables": "tables of studies: from answers and options to a polars frame",
}


class Registry(MutableMapping[str, T]):
    """Things by name: one's own first, then those of plugins, which are loaded when they are first asked for.

    A plugin of a name that is taken already is not used.

    Parameters
    ----------
    group : str
        One of :data:`GROUPS`.
    own : mapping
    """

    def __init__(self, group: str, own: Mapping[str, T]) -> None:
        self.group, self._own = group, dict(own)

    def __getitem__(self, name: str) -> T:
        """One of the things.

        Raises
        ------
        KeyError
            There is none of that name.
        ConfigError
            It is a plugin's, and cannot be loaded.
        """
        if name in self._own:
            return self._own[name]
        thing: T = load(self._plugins[name])
        return thing

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._plugins

    def __iter__(self) -> Iterator[str]:
        yield from {**self._own, **self._plugins}

    def __len__(self) -> int:
        return len({**self._own, **self._plugins})

    def __setitem__(self, name: str, thing: T) -> None:
        self._own[name] = thing

    def __delitem__(self, name: str) -> None:
        del self._own[name]

    @cached_property
    def _plugins(self) -> dict[str, EntryPoint]:
        return {each.name: each for each in find_plugins(self.group)}


def find_plugins(group: str) -> list[EntryPoint]:
    """What installed packages add to a group, by name; nothing of it is imported."""
    return sorted(entry_points(group=group), key=lambda each: (each.name, each.value))


def load(plugin: EntryPoint) -> Any:
    """Import what a plugin names.

    Raises
    ------
    ConfigError
        That fails: the package that brought it is named.
    """
    try:
        return plugin.load()
    except Exception as error:
        brought = f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist else "a package"
        raise ConfigError(
            f"{plugin.group} {plugin.name!r} ({plugin.value}, of {brought}): cannot be imported ({brief(error)});"
            " update or remove that package"
        ) from error
