"""What every section of `tocsin.yaml` is made of: frozen, strict about keys, and secrets that may stand in files."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[int, Field(ge=0, le=366 * 86_400)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$", description="lower-case letters, digits, _ . -")]
NameOrNone = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_.-]{0,62})?$")]
"""A name, or nothing where the key is left out."""
Language = Literal["zh", "en"]


class Section(BaseModel):
    """A part of the configuration. An unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WithSecrets(Section):
    """A section in which each secret may also be given as `<name>_file`, a path to read it from."""

    required_secrets: ClassVar[tuple[str, ...]] = ()
    """Secrets without which the section is of no use."""

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, given: object) -> object:
        """Leave reading to the loader: only refuse both forms at once."""
        if isinstance(given, dict):
            for key in given:
                if isinstance(key, str) and key.endswith("_file") and key[:-5] in given:
                    raise ValueError(f"give {key[:-5]} or {key}, not both")
        return given

    @model_validator(mode="after")
    def _required_secrets_are_given(self) -> Self:
        for name in self.required_secrets:
            if not getattr(self, name) and not getattr(self, f"{name}_file"):
                raise ValueError(f"{name}: is required, or {name}_file")
        return self
