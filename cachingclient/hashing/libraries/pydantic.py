"""pydantic: model classes by their fields, validators and methods, without what was generated from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachingclient.hashing.code.attributes import describe_hints
from cachingclient.hashing.code.unfinished import finish
from cachingclient.hashing.digest import frame
from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.hashing.registry import register_hasher
from cachingclient.hashing.scalars import encode_str

if TYPE_CHECKING:
    from cachingclient.hashing.walk import Walk

_GENERATED = frozenset(
    {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__signature__", "_abc_impl"}
)


@register_hasher("pydantic._internal._model_construction.ModelMetaclass", subclasses=True)
def encode_model_class(cls: Any, walk: Walk) -> bytes:
    """Return the encoding of a model class; the instances need none of their own."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    if not is_user_code(cls.__module__):
        return walk.library(cls.__module__, cls.__qualname__)
    return walk.refer(cls, f"class {name}", _describe)


@register_hasher("pydantic.fields.ModelPrivateAttr", subclasses=True)
def encode_private_attribute(attribute: Any, walk: Walk) -> bytes:
    """Encode a private attribute by its default, without what is noted of it when a model is first made."""
    return frame(b"(", [walk.encode(attribute.default), walk.encode(attribute.default_factory)])


def _describe(cls: Any, walk: Walk) -> bytes:
    finish(cls)
    own = {
        name: value
        for name, value in vars(cls).items()
        if name not in _GENERATED and not name.startswith(("__pydantic_", "model_", "__abstract", "__annotat"))
    }
    parts = [encode_str(cls.__name__), *map(walk.encode, cls.__bases__), walk.encode(dict(cls.model_config))]
    for name, field in cls.model_fields.items():
        settings = {key: getattr(field, key) for key in sorted(field._attributes_set)}
        parts.append(frame(b"(", [encode_str(name), walk.encode(field.annotation), walk.encode(settings)]))
        if field.metadata:  # bounds and validators, given to Field or by Annotated: they are no settings
            parts.append(walk.encode(field.metadata))
    if not cls.__pydantic_complete__:
        parts.append(describe_hints(cls, walk))
    for name in sorted(own):
        value = own[name]
        parts.append(frame(b"(", [encode_str(name), walk.encode(getattr(value, "wrapped", value))]))
        if hasattr(value, "decorator_info"):
            parts.append(walk.encode(value.decorator_info))
    return frame(b"(", parts)
