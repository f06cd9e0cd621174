"""Builds a handler into a component: `gristmill-build orders.py -o orders.wasm`.

It wraps componentize-py, which has to be installed. What the component imports, and so what has to be granted
to it, is what the handler's files use of this package: a handler that never sends does not import `producer`.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Iterator

from gristmill.host import INTERFACES

#: The names of this package that use an interface of another name.
_USES = {
    "send": "producer",
    "reply": "producer",
    "SendError": "producer",
    "StateError": "state",
    "BodyReader": "body",
    "open_body": "body",
}
_SDK = Path(__file__).parent


class BuildError(Exception):
    """Why there is no component, in words."""


def interfaces_used(file: Path) -> list[str]:
    """The interfaces that a file uses, and the files beside it that it imports."""
    used: set[str] = set()
    for tree in _trees(file):
        used |= _names_used(tree)
    return [name for name in INTERFACES if name in used]


def has_handler(file: Path) -> bool:
    """Whether a file makes a handler: it mentions `handler` otherwise than to import it, or `Handler` itself."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"), str(file))):
        if isinstance(node, (ast.Name, ast.ClassDef)):
            if (node.id if isinstance(node, ast.Name) else node.name) in ("handler", "Handler"):
                return True
        if isinstance(node, ast.Attribute) and node.attr == "handler":
            return True
    return False


def _trees(file: Path) -> Iterator[ast.Module]:
    """The file, and what it imports that is in its folder."""
    seen: set[Path] = set()
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_text("utf-8"), str(path))
        yield tree
        for name in _modules(tree):
            at = file.parent.joinpath(*name.split("."))
            waiting.extend(found for found in (at.with_suffix(".py"), at / "__init__.py") if found.is_file())


def _modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _names_used(tree: ast.Module) -> set[str]:
    """The interfaces of the names that a module imports from this package; all of them if it imports it whole
    and does more with it than to take names from it."""
    used: set[str] = set()
    aliases: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "gristmill":
            names = node.module.split(".")[1:] or [alias.name for alias in node.names]
            used.update(INTERFACES if "*" in names else (_USES.get(name, name) for name in names))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "gristmill":
                    used.update(_USES.get(name, name) for name in alias.name.split(".")[1:])
                    aliases.add(alias.asname or "gristmill")
    taken = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            used.add(_USES.get(node.attr, node.attr))
            taken.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in aliases and node not in taken:
            return set(INTERFACES)
    return used


def world(interfaces: list[str]) -> str:
    """The world of a handler that uses these interfaces."""
    imports = "".join(f"  import gristmill:queue/{name}@0.1.0;\n" for name in interfaces)
    return (
        "package gristmill:built;\n"
        f"world {_WORLD} {{\n{imports}  export gristmill:queue/handler@0.1.0;\n}}\n"
    )


_WORLD = "gristmill-built"


def build(file: Path, output: Path) -> list[str]:
    """Builds the component, and returns the interfaces that it imports."""
    if not file.is_file():
        raise BuildError(f"there is no file {file}")
    if not file.stem.isidentifier():
        raise BuildError(f"{file.name}: the name of a handler's file has to be one that Python can import")
    try:
        if not has_handler(file):
            raise BuildError(f"{file}: there is no handler: write `@handler` in front of one function")
        interfaces = interfaces_used(file)
    except SyntaxError as error:
        text = (error.text or "").rstrip()
        mark = " " * ((error.offset or 1) - 1)
        raise BuildError(f"{file}:{error.lineno}:{error.offset}: {error.msg}\n    {text}\n    {mark}^") from None
    with tempfile.TemporaryDirectory(prefix="gristmill-build-") as folder:
        wit = Path(folder)
        (wit / "deps").mkdir()
        (wit / "world.wit").write_text(world(interfaces), "utf-8")
        shutil.copy(_SDK / "wit" / "queue.wit", wit / "deps")
        # Whole or not at all: a host may be watching the folder.
        unfinished = output.with_name(f".{output.name}.new")
        command = [_tool(), "--quiet", "-d", folder, "-w", _WORLD, "componentize", file.stem]
        command += ["-p", str(file.resolve().parent), "-p", str(_SDK.parent), "-o", str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise BuildError(f"{file} could not be made a component:\n{(done.stderr or done.stdout).strip()}")
        os.replace(unfinished, output)
    return interfaces


def _tool() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "componentize-py"
    found = str(beside) if beside.is_file() else shutil.which("componentize-py")
    if not found:
        raise BuildError("componentize-py is not installed: pip install componentize-py==0.25.1")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="gristmill-build", description="Builds a handler into a component.")
    parser.add_argument("file", type=Path, help="the file with the handler")
    parser.add_argument("-o", "--output", type=Path, help="the component (the file's name with .wasm)")
    args = parser.parse_args()
    output = args.output or Path(f"{args.file.stem}.wasm")
    try:
        interfaces = build(args.file, output)
    except BuildError as error:
        print(f"gristmill-build: {error}", file=sys.stderr)
        return 1
    size = output.stat().st_size
    print(f"{output}: {size / 1048576:.1f} MiB, uses {', '.join(interfaces) or 'nothing of the queue'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
