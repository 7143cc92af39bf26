"""From pydantic's errors to problems that name a line, say what is wrong in plain words, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bridge.config.effective import Layer, Place, find
from bridge.config.fields import fields_at, is_beside_secret, known_keys, secret_paths, values_at, without_nulls
from bridge.config.problems import PathPart, Problem, did_you_mean, one_of, shown
from bridge.config.references import References
from bridge.config.types import INVALID
from bridge.config.yaml_errors import Mark
from bridge.secrets import Redactor, Secret

Model = TypeVar("Model", bound=BaseModel)

# Looking for similar words costs time; a file with more errors than this has another trouble than typing errors.
_MOST_SUGGESTIONS = 100
_MOST_PROBLEMS = 50_000
# Errors of a validator that somebody wrote in Python: their text is passed on.
_FREE_TEXT = ("value_error", "assertion_error")

_SAID: Mapping[str, str | Callable[[Mapping[str, Any]], str]] = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_pattern_mismatch": "is not in the right form",
    "string_too_short": lambda c: f"must have {c['min_length']} characters or more",
    "string_too_long": lambda c: f"must have {c['max_length']} characters at most",
    "too_short": lambda c: f"must have {c['min_length']} entries or more",
    "too_long": lambda c: f"must have {c['max_length']} entries at most",
    "int_type": "must be a whole number, without quotes",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "multiple_of": lambda c: (
        "must be whole" if c["multiple_of"] == 1 else f"must be a multiple of {c['multiple_of']:g}"
    ),
    "bool_type": "must be true or false (on, off, yes and no do as well)",
    "bool_parsing": "must be true or false (on, off, yes and no do as well)",
    "greater_than": lambda c: f"must be more than {c['gt']:g}",
    "greater_than_equal": lambda c: f"must be {c['ge']:g} or more",
    "less_than": lambda c: f"must be less than {c['lt']:g}",
    "less_than_equal": lambda c: f"must be {c['le']:g} or less",
    "none_required": "must be null",
    "model_type": "must be a block of fields",
    "model_attributes_type": "must be a block of fields",
    "dict_type": "must be a block of fields",
    "mapping_type": "must be a block of fields",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "invalid_key": "every key must be text",
    "literal_error": "is none of the words that can stand here",
    "enum": "is none of the words that can stand here",
}
_MEND = {
    "string_type": "put it in quotes",
    "invalid_key": "put it in quotes",
    "model_type": "write key: value lines, indented below it",
    "model_attributes_type": "write key: value lines, indented below it",
    "dict_type": "write key: value lines, indented below it",
    "mapping_type": "write key: value lines, indented below it",
    "list_type": "write its entries on lines that begin with -, or in [ ]",
    "tuple_type": "write its entries on lines that begin with -, or in [ ]",
}


class Report:
    """Collects problems. The same problem at the same place counts once: an inherited value is wrong only once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: dict[tuple[Place, str], Problem] = {}
        self.failed = False  # an error is among them
        self._suggestions = 0

    def error(self, place: Place, what: str, mend: str = "") -> None:
        self._add(place, what, mend, "error")

    def warn(self, place: Place, what: str, mend: str = "") -> None:
        self._add(place, what, mend, "warning")

    def _add(self, place: Place, what: str, mend: str, severity: Literal["error", "warning"]) -> None:
        if len(self._problems) >= _MOST_PROBLEMS:
            place = Place("file", (), Mark(0, 0), 0)
            what, mend = "has more problems than are listed", "mend these first"
        self._problems.setdefault((place, what), self._problem(place, what, mend, severity))
        self.failed = self.failed or severity == "error"

    def _problem(self, place: Place, what: str, mend: str, severity: Literal["error", "warning"]) -> Problem:
        return Problem(self.file, *place.mark, shown(place.path), what, mend, severity)

    @property
    def problems(self) -> list[Problem]:
        return sorted(self._problems.values(), key=lambda one: (one.line, one.column))

    def suggest(self, word: object, known: Iterable[str]) -> str:
        """`did you mean …?`, else the list of what is known; "" once that would take too long."""
        self._suggestions += 1
        words = list(known)
        if self._suggestions > _MOST_SUGGESTIONS or not words:
            return ""
        return did_you_mean(word, words) or f"known: {one_of(words)}"


class Validator:
    """Validates blocks against their models; what is wrong goes into the report."""

    def __init__(self, report: Report, references: References) -> None:
        self.report = report
        self.references = references

    def __call__(
        self,
        model: type[Model],
        block: object,
        layers: Sequence[Layer],
        path: tuple[PathPart, ...] = (),
        *,
        partial: bool = False,
        also_known: Iterable[str] = (),
    ) -> Model | None:
        """The model's instance, or None after reporting. `path` leads from the layers to the block.

        `partial`: the block may be completed by another layer, so nothing is missing, and what the model says about
        several fields together is not yet asked. `also_known`: keys that may stand beside the model's fields. Null
        for a known field means that nothing is said.
        """
        valid: Model | None = None
        errors: list[ErrorDetails] = []
        try:
            valid = model.model_validate(without_nulls(model, block), context=self.references)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
        except Exception as error:  # a driver's validator that fails instead of refusing; its text may hold anything
            what = f"cannot be checked: the check itself fails with {type(error).__name__}"
            self.report.error(find(layers, path), what, "tell whoever made the driver; other values may work meanwhile")
        if errors:
            self._explain(model, errors, block, layers, path, partial, list(also_known))
        self.caution(model, block, layers, path)
        return valid

    def _explain(
        self,
        model: type[BaseModel],
        errors: Iterable[ErrorDetails],
        block: object,
        layers: Sequence[Layer],
        path: tuple[PathPart, ...],
        partial: bool,
        also_known: list[str],
    ) -> None:
        # Errors of the branches of a union end at the same place in the file, and become one there.
        branches: dict[Place, tuple[list[str], str]] = {}
        for error in errors:
            loc = error["loc"]
            if partial and (error["type"] == "missing" or _about_block(error, block)):
                continue
            if error["type"] == "extra_forbidden":
                self._unknown_key(model, layers, path, loc, [] if loc[:-1] else also_known)
                continue
            place = find(layers, (*path, *loc), at_key=error["type"] == "invalid_key")
            what, mend = self._say(model, error, block)
            if error["type"] == "missing":
                layer = place.path[: len(place.path) - place.found]
                place = replace(place, path=(*layer, *path, *loc))
            elif error["type"] == "invalid_key":
                place = replace(place, path=place.path[:-1])
            elif place.found < len(path) + len(loc):
                whats, _ = branches.setdefault(place, ([], mend))
                whats.append(what)
                continue
            self.report.error(place, what, mend)
        for place, (whats, mend) in branches.items():
            self.report.error(place, ", or ".join(dict.fromkeys(whats)), mend)

    def _unknown_key(
        self,
        model: type[BaseModel],
        layers: Sequence[Layer],
        path: tuple[PathPart, ...],
        loc: tuple[PathPart, ...],
        also_known: list[str],
    ) -> None:
        place = find(layers, (*path, *loc), at_key=True)
        known = [*known_keys(model, loc[:-1]), *also_known]
        # In a block with a secret the unknown key may be the secret, having lost its key.
        if is_beside_secret(model, loc):
            place = replace(place, path=place.path[:-1])
        self.report.error(place, "unknown key", self.report.suggest(loc[-1], known))

    def _say(self, model: type[BaseModel], error: ErrorDetails, block: object) -> tuple[str, str]:
        kind, context = error["type"], error.get("ctx", {})
        if kind == INVALID:
            return context["what"], context["mend"]
        if kind in _FREE_TEXT:
            return self._masked(error["msg"].partition(", ")[2] or error["msg"], model, block), ""
        if kind in ("literal_error", "enum"):
            words = context["expected"].replace("'", "")
            return "is none of the words that can stand here", f"write {words}"
        mend = _MEND.get(kind) or _expected(fields_at(model, error["loc"]))
        said = _SAID.get(kind)
        if said is None:
            return "is not valid: " + self._masked(error["msg"], model, block), mend
        return said if isinstance(said, str) else said(context), mend

    def _masked(self, text: str, model: type[BaseModel], block: object) -> str:
        """Words of somebody else's validator, without secrets, be they resolved or as written."""
        redact = Redactor()
        redact.learn(self.references.resolved)
        for path in secret_paths(model):
            redact.learn(Secret(str(value)) for _, value in values_at(block, path))
        return redact(text)

    def caution(
        self, model: type[BaseModel], block: object, layers: Sequence[Layer], path: tuple[PathPart, ...]
    ) -> None:
        """Warn of secrets in the block that are not as safe as they could be."""
        for secret in secret_paths(model):
            for loc, value in values_at(block, secret):
                for advice in self.references.cautions(value) if isinstance(value, str) else ():
                    self.report.warn(find(layers, (*path, *loc)), *advice)


def _about_block(error: ErrorDetails, block: object) -> bool:
    """Whether a validator complained about a block as a whole."""
    node = block
    for part in error["loc"]:
        try:
            node = node[part]  # type: ignore[index]
        except (LookupError, TypeError):
            return False
    return isinstance(node, dict) and error["type"] in (*_FREE_TEXT, INVALID)


def _expected(fields: Iterable[FieldInfo]) -> str:
    for field in fields:
        if field.examples and not isinstance(field.examples[0], dict | list):
            return f"write it like {one_of(map(str, field.examples))}"
        if field.description:
            return f"expected: {field.description}"
    return ""
