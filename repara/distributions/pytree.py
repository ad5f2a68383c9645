"""Registration of classes as pytrees: one way for distributions, bijectors and flow steps.

A registered class keeps its state in instance attributes. Flattening reads them; unflattening sets
them without a call of the constructor, because transformations put objects that are not arrays into
the leaves.
"""

import dataclasses
import typing
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import jax

from repara.distributions.representation import describe_fields

__all__ = ["pytree_dataclass", "register_pytree", "static_field"]

_T = TypeVar("_T")
_STATIC = "repara_static"


def register_pytree(cls: type, children: Sequence[str], static: Sequence[str] = ()) -> None:
    """Registers a class as a pytree of some of its instance attributes.

    Args:
      cls: the class; its instances keep these attributes in their `__dict__`.
      children: names of the attributes that are subtrees. They are also the keys of tree paths.
      static: names of the attributes that are hashable auxiliary data.

    Example:
      >>> class Pair:
      ...     def __init__(self, first, second):
      ...         self.first, self.second = first, second
      >>> register_pytree(Pair, ["first", "second"])
      >>> jax.tree.map(lambda x: 2 * x, Pair(1, 2)).second
      4
    """
    children, static = tuple(children), tuple(static)

    def flatten(instance: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        values = instance.__dict__
        return tuple(values[name] for name in children), tuple(values[name] for name in static)

    def flatten_with_keys(instance: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        values, auxiliary = flatten(instance)
        keys = (jax.tree_util.GetAttrKey(name) for name in children)
        return tuple(zip(keys, values, strict=True)), auxiliary

    def unflatten(auxiliary: tuple[Any, ...], values: Iterable[Any]) -> Any:
        instance: Any = object.__new__(cls)
        instance.__dict__.update(zip(children, values, strict=True))
        instance.__dict__.update(zip(static, auxiliary, strict=True))
        return instance

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


def static_field(**options: Any) -> Any:
    """Declares a field of a `pytree_dataclass` that is auxiliary data, not a subtree.

    Args:
      **options: options of `dataclasses.field`, such as `default`.

    Returns:
      The field.

    Example:
      >>> @pytree_dataclass
      ... class Power:
      ...     exponent: int = static_field(default=2)
      >>> jax.tree.leaves(Power())
      []
    """
    return dataclasses.field(metadata={_STATIC: True}, **options)


@typing.dataclass_transform(frozen_default=True, field_specifiers=(static_field, dataclasses.field))
def pytree_dataclass(cls: type[_T]) -> type[_T]:
    """Makes a class a frozen dataclass that is a pytree of its fields, with a short repr.

    Fields are subtrees unless they are declared with `static_field`. The constructor may check
    its arguments in `__post_init__`; unflattening never does.

    Args:
      cls: the class, with annotated fields.

    Returns:
      The same class.

    Example:
      >>> @pytree_dataclass
      ... class Scale:
      ...     factor: jax.Array
      >>> Scale(jax.numpy.ones((2, 3)))
      Scale(factor=float32[2,3])
    """
    cls = dataclasses.dataclass(frozen=True, repr=False)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]  # the decorator has just made it one
    static = [field.name for field in fields if field.metadata.get(_STATIC)]
    register_pytree(cls, [field.name for field in fields if field.name not in static], static)

    def represent(self: _T) -> str:
        return describe_fields(self, [field.name for field in fields])

    if "__repr__" not in cls.__dict__:
        cls.__repr__ = represent  # type: ignore[assignment]
    return cls
