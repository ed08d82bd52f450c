"""Every refusal of the library, read from its source: who raises what, with which words.

A refusal is a call of an error class of the family in ``errors.py``, wherever it stands, or of a function
that makes one. Nothing is imported and nothing runs: texts are put together from the syntax tree. What only
a call can know stays as the expression it is, between single guillemets.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What stands for a part of a message that only a call can know.
OPEN = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"
CLOSE = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"
# A helper's words may come from a helper; deeper than this would be a loop.
_DEEPEST = 4
# As many wordings of one message as a reader wants to see.
_MOST_WORDINGS = 6
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What a constant may be made with; anything else is left as an expression.
_KNOWN_CALLS: dict[str, Any] = {"len": len, "repr": repr, "sorted": sorted, "str": str, "tuple": tuple}


@dataclass(frozen=True)
class Refusal:
    """One place in the code that refuses: each text may have several wordings."""

    module: str
    where: str
    kind: str
    rule: tuple[str, ...]
    received: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """A class of the error family."""

    name: str
    module: str
    bases: tuple[str, ...]
    says: str


@dataclass
class _Module:
    name: str
    tree: ast.Module
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)


Words = dict[str, tuple[str, ...]]


class Source:
    """The package's modules, parsed; :meth:`kinds` and :meth:`refusals` are what is asked of them."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.modules: dict[str, _Module] = {}
        for path in sorted(top.rglob("*.py")):
            parts = path.relative_to(top).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            self.modules[name] = _Module(name, ast.parse(path.read_text(encoding="utf-8")))
        for module in self.modules.values():
            self._look_round(module)
        self.family = {kind.name: kind for kind in self._family()}
        # Functions that make an error for others to raise, by the last part of what they are called by.
        self.makers = {
            (module.name, name)
            for module in self.modules.values()
            for name, function in module.functions.items()
            if any(isinstance(node, ast.Return) and self._made(node.value) for node in ast.walk(function))
        }

    def kinds(self) -> list[Kind]:
        """The classes of the family, those of ``errors.py`` first."""
        return sorted(self.family.values(), key=lambda kind: (kind.module != "errors", kind.module))

    def path_of(self, module: str) -> str:
        """Where a module stands, from the package's folder on."""
        path = self.top.joinpath(*module.split("."))
        found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return found.relative_to(self.top).as_posix()

    def refusals(self) -> list[Refusal]:
        """Every refusal, by module and in the order of the code; the same words of one function once."""
        found: list[Refusal] = []
        for module in self.modules.values():
            for where, function, call in _calls(module.tree):
                found += self._read(module, where, function, call)
        return list(dict.fromkeys(found))

    # -- what is there -----------------------------------------------------------------------------------

    def _look_round(self, module: _Module) -> None:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef):
                module.functions.setdefault(node.name, node)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tilewright"):
                source = (node.module or "").removeprefix("tilewright").lstrip(".")
                module.imported |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
        for statement in module.tree.body:
            target = value = None
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target, value = statement.targets[0], statement.value
            elif isinstance(statement, ast.AnnAssign):
                target, value = statement.target, statement.value
            if isinstance(target, ast.Name) and value is not None:
                try:
                    module.constants[target.id] = self._constant(module, value)
                except ValueError:
                    continue

    def _family(self) -> Iterator[Kind]:
        names = {"TilewrightError"}
        classes = [
            (module.name, node)
            for module in self.modules.values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef)
        ]
        for _ in range(_DEEPEST):  # a class may come before its base
            names |= {node.name for _, node in classes if names & {ast.unparse(b) for b in node.bases}}
        for module, node in classes:
            if node.name in names:
                says = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
                yield Kind(node.name, module, tuple(ast.unparse(base) for base in node.bases), says)

    def _made(self, node: ast.expr | None) -> str:
        """The class of error that this expression makes, or nothing."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.family:
            return node.func.id
        return ""

    def _named(self, module: _Module, name: str) -> tuple[_Module, ast.FunctionDef] | None:
        """The function that this name stands for in a module, its own or an imported one."""
        if name in module.functions:
            return module, module.functions[name]
        source, original = module.imported.get(name, ("", ""))
        other = self.modules.get(source)
        return (other, other.functions[original]) if other and original in other.functions else None

    # -- what it says ------------------------------------------------------------------------------------

    def _read(
        self,
        module: _Module,
        where: str,
        function: ast.FunctionDef | None,
        call: ast.Call,
        given: Words | None = None,
    ) -> Iterator[Refusal]:
        kind = self._made(call)
        reader = _Reader(self, module, function, given or {})
        if kind:
            if given is None and function is not None and (module.name, function.name) in self.makers:
                return  # said where it is called, with the words it is called with
            arguments = dict(zip(("rule", "received", "advice"), call.args, strict=False))
            arguments |= {word.arg: word.value for word in call.keywords if word.arg}
            texts = {
                name: tuple(text for text in reader.wordings(value) if text)
                for name, value in arguments.items()
            }
            yield Refusal(
                module.name,
                where,
                kind,
                texts.get("rule", ()),
                texts.get("received", ()),
                texts.get("advice", ()),
            )
            return
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        maker = self._named(module, name)
        if maker is None or (maker[0].name, name) not in self.makers:
            return
        words = reader.bound(maker[1], call)
        for node in ast.walk(maker[1]):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and self._made(node.value):
                for refusal in self._read(maker[0], where, maker[1], node.value, words):
                    yield Refusal(module.name, *_but_module(refusal))

    def _constant(self, module: _Module, node: ast.expr) -> Any:
        """The value of an expression of constants; ValueError for any other."""
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        inner = {
            part.target.id
            for part in ast.walk(node)
            if isinstance(part, ast.comprehension) and isinstance(part.target, ast.Name)
        }
        known = dict(_KNOWN_CALLS)
        for name in names - inner - set(_KNOWN_CALLS):
            source, original = module.imported.get(name, ("", ""))
            places = [(module, name)] + ([(self.modules[source], original)] if source in self.modules else [])
            for place, there in places:
                if there in place.constants:
                    known[name] = place.constants[there]
                    break
            else:
                raise ValueError(name)
        calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
        if any(not _is_harmless(call) for call in calls):
            raise ValueError(ast.unparse(node))
        try:
            return eval(compile(ast.Expression(node), "<constant>", "eval"), {"__builtins__": {}}, known)
        except Exception as error:  # it is no constant after all, whatever the reason
            raise ValueError(ast.unparse(node)) from error


class _Reader:
    """Puts texts together as one function would, with what it was called with."""

    def __init__(
        self, source: Source, module: _Module, function: ast.FunctionDef | None, given: Words, deep: int = 0
    ) -> None:
        self.source, self.module, self.function, self.given, self.deep = source, module, function, given, deep

    def wordings(self, node: ast.expr | None) -> tuple[str, ...]:
        """Every text that the expression can give, at most a handful."""
        return tuple(dict.fromkeys(itertools.islice(self._wordings(node), _MOST_WORDINGS)))

    def bound(self, function: ast.FunctionDef, call: ast.Call) -> Words:
        """What the parameters of a function stand for in a call of it."""
        parameters = [parameter.arg for parameter in function.args.args]
        if parameters[:1] in (["self"], ["cls"]):
            parameters = parameters[1:]
        words = dict(zip(parameters, map(self.wordings, call.args), strict=False))
        return words | {word.arg: self.wordings(word.value) for word in call.keywords if word.arg}

    def _wordings(self, node: ast.expr | None) -> Iterator[str]:
        if node is None or self.deep > _DEEPEST:
            yield ""
        elif isinstance(node, ast.Constant):
            yield str(node.value)
        elif isinstance(node, ast.JoinedStr):
            yield from self._joined([self._part(part) for part in node.values])
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_text(node):
            yield from self._joined([self.wordings(node.left), self.wordings(node.right)])
        elif isinstance(node, ast.IfExp):
            yield from self._wordings(node.body)
            yield from self._wordings(node.orelse)
        elif isinstance(node, ast.Name):
            yield from self._name(node)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        else:
            yield self._constant_or_open(node)

    @staticmethod
    def _joined(parts: list[tuple[str, ...]]) -> Iterator[str]:
        return map("".join, itertools.product(*parts))

    def _part(self, part: ast.expr) -> tuple[str, ...]:
        if not isinstance(part, ast.FormattedValue):
            return self.wordings(part)
        if part.conversion == ord("r"):
            # The word that names an argument stays as it is; a constant is written as Python writes it.
            try:
                return (repr(self.source._constant(self.module, part.value)),)
            except ValueError:
                return tuple(
                    text if text.startswith(OPEN) else repr(text) for text in self.wordings(part.value)
                )
        return self.wordings(part.value)

    def _name(self, node: ast.Name) -> Iterator[str]:
        if node.id in self.given:
            yield from self.given[node.id]
            return
        values = list(_assigned(self.function, node.id)) if self.function else []
        if values and node.id not in _names_in(values):
            for value in values:
                yield from _Reader(
                    self.source, self.module, self.function, self.given, self.deep + 1
                )._wordings(value)
            return
        yield self._constant_or_open(node)

    def _call(self, node: ast.Call) -> Iterator[str]:
        name = getattr(node.func, "id", "")
        if name == "describe":
            parts: list[tuple[str, ...]] = []
            for word in node.keywords:
                if word.arg:
                    parts.append((word.arg,))
                elif isinstance(word.value, ast.Dict):
                    parts += [self.wordings(key) for key in word.value.keys]
                else:
                    parts.append(self.wordings(word.value))
            yield from map(", ".join, itertools.product(*parts))
            return
        helper = self.source._named(self.module, name) if name else None
        if helper is not None:
            module, function = helper
            returned = [inner.value for inner in ast.walk(function) if isinstance(inner, ast.Return)]
            if returned and all(_is_text(value) for value in returned):
                inside = _Reader(self.source, module, function, self.bound(function, node), self.deep + 1)
                for value in returned:
                    yield from inside._wordings(value)
                return
        yield self._constant_or_open(node)

    def _constant_or_open(self, node: ast.expr) -> str:
        try:
            return str(self.source._constant(self.module, node))
        except ValueError:
            return f"{OPEN}{_short(node)}{CLOSE}"


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | None, ast.Call]]:
    """Every call that is raised or returned, or kept to be raised, with the function it stands in."""

    def visit(node: ast.AST, names: tuple[str, ...], function: ast.FunctionDef | None) -> Iterator[Any]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
                inner = child if isinstance(child, ast.FunctionDef) else function
                yield from visit(child, (*names, child.name), inner)
                continue
            if isinstance(child, ast.Call):
                yield ".".join(names), function, child
            yield from visit(child, names, function)

    yield from visit(tree, (), None)


def _but_module(refusal: Refusal) -> tuple[Any, ...]:
    return refusal.where, refusal.kind, refusal.rule, refusal.received, refusal.advice


def _assigned(function: ast.FunctionDef, name: str) -> Iterator[ast.expr]:
    """The values that the function gives to a name, if all of them are texts."""
    values = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in node.targets
        ):
            values.append(node.value)
    return iter(values if all(_is_text(value) for value in values) else [])


def _is_text(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") == "describe" or _is_join(node)
    return isinstance(node, ast.JoinedStr)


def _is_join(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
        and isinstance(node.func.value, ast.Constant)
    )


def _is_harmless(call: ast.Call) -> bool:
    return getattr(call.func, "id", "") in _KNOWN_CALLS or _is_join(call)


def _names_in(values: list[ast.expr]) -> set[str]:
    return {part.id for value in values for part in ast.walk(value) if isinstance(part, ast.Name)}


def _short(node: ast.expr) -> str:
    """An expression as a reader of the message would name it."""
    if _is_join(node):
        assert isinstance(node, ast.Call)
        (items,) = node.args
        return _short(items.generators[0].iter if isinstance(items, ast.GeneratorExp) else items)
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name == "self._get_name":
            return "layer"
        if name in ("repr", "str", "os.fspath", "sorted", "tuple") and len(node.args) == 1:
            return _short(node.args[0])
    if isinstance(node, ast.BoolOp):  # `listed or 'none'`
        return _short(node.values[0])
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return _short(node.value)
    if isinstance(node, ast.Attribute) and node.attr == "__name__":
        inner = node.value
        if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "type":
            return f"type of {_short(inner.args[0])}"
    return ast.unparse(node)
