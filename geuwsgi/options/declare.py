"""How an option is declared: one typed field in one section.

    class Workers(Section):
        '''Processes, cores and their limits.'''

        harakiri: float = option("end a request that takes longer", SECONDS, short="t")

A section behaves as a frozen dataclass with keyword arguments. It is not one because
of start-up time: over the 800 options of geuwsgi the generated methods of frozen
dataclasses take 45 ms to build, these 3 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from geuwsgi.options.kinds import Bounds, Kind, Takes

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        return lambda cls: cls


T = TypeVar("T")


class Option:
    """One declared option: everything the engine, the help and the manual know.

    ``name`` and ``field`` are known once its section class exists. ``implies`` names
    flags that using the option turns on, whatever its value, as in uWSGI. ``since``
    is empty for uWSGI 2.0's options. ``differs`` says in what it acts otherwise than
    in uWSGI. ``directive`` options belong to the language: they act while the
    configuration is read and are no setting.
    """

    __slots__ = (
        "aliases",
        "bounds",
        "choices",
        "default",
        "differs",
        "directive",
        "field",
        "help",
        "implies",
        "kind",
        "name",
        "section",
        "short",
        "since",
        "takes",
    )

    def __init__(
        self,
        *,
        help: str,
        kind: Kind[Any],
        default: object,
        bounds: Bounds,
        takes: Takes,
        name: str = "",
        short: str = "",
        aliases: tuple[str, ...] = (),
        choices: tuple[str, ...] = (),
        implies: tuple[str, ...] = (),
        since: str = "",
        differs: str = "",
    ) -> None:
        self.help = help
        self.kind = kind
        self.default = default
        self.bounds = bounds
        self.takes = takes
        self.name = name
        self.short = short
        self.aliases = aliases
        self.choices = choices
        self.implies = implies
        self.since = since
        self.differs = differs
        self.field = ""
        self.section = ""
        self.directive = False

    def __repr__(self) -> str:
        return f"<option {self.name}>"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


def option(
    help: str,
    kind: Kind[T],
    *,
    default: T | None = None,
    name: str = "",
    short: str = "",
    aliases: Sequence[str] = (),
    at_least: float | None = None,
    at_most: float | None = None,
    when_true: float | None = None,
    takes: Takes | None = None,
    choices: Sequence[str] = (),
    implies: Sequence[str] = (),
    since: str = "",
    differs: str = "",
) -> T:
    """Declare an option of a ``Section``; returns, for the type checker, its default.

    ``help`` is an imperative phrase in lower case. ``name`` is needed only where the
    field's name does not give it. A number that may not be negative says
    ``at_least=0``. ``when_true`` is the number that ``true`` stands for.
    """
    actual = kind.default if default is None else default
    floor = actual if isinstance(actual, int | float) else 0
    declared = Option(
        help=help,
        kind=kind,
        default=actual,
        bounds=Bounds(at_least, at_most, when_true, floor),
        takes=takes or kind.takes,
        name=name,
        short=short,
        aliases=tuple(aliases),
        choices=tuple(choices),
        implies=tuple(implies),
        since=since,
        differs=differs,
    )
    return cast(T, declared)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Section:
    """A frozen group of option values; what is not given has the declared default.

    Subclasses declare fields with ``option()``. ``declared`` holds the options.
    """

    declared: ClassVar[tuple[Option, ...]] = ()
    title: ClassVar[str] = ""

    if not TYPE_CHECKING:

        def __init__(self, **values: object) -> None:
            unknown = values.keys() - {option.field for option in self.declared}
            if unknown:
                raise TypeError(
                    f"{type(self).__name__} has no option field {min(unknown)!r}"
                )
            self.__dict__.update(values)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        section = cls.__name__.lower()
        declared = []
        for field, found in list(vars(cls).items()):
            if not isinstance(found, Option):
                continue
            found.field = field
            found.section = section
            found.name = found.name or field.rstrip("_").replace("_", "-")
            declared.append(found)
            setattr(cls, field, found.default)
        cls.declared = tuple(declared)
        cls.title = (cls.__doc__ or "").partition("\n")[0].rstrip(".")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            getattr(self, option.field) == getattr(other, option.field)
            for option in self.declared
        )

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, option.field) for option in self.declared))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self.changed().items())
        return f"{type(self).__name__}({inner})"

    def changed(self) -> dict[str, object]:
        """The fields that were given, in order of declaration, by field name."""
        given = vars(self)
        return {
            option.field: given[option.field]
            for option in self.declared
            if option.field in given
        }

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{**vars(self), **changes})
