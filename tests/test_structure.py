"""The house as ARCHITECTURE.md draws it: a room imports only from those below it, and no two modules need each other."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = [  # each may import from those before it
    {"errors", "progress", "citation", "places", "contents", "replica"},
    {"networks"},
    {"experiments"},
    {"figures"},
    {"engine"},
    {"findings"},
    {"recipes"},
    {"report", "precompute", "jobs", "opening", "replicas"},
    {"web"},  # what every part of the app needs
    {"web.kit"},
    {"web.shell"},
    {"cli"},
]


def modules() -> dict[str, Path]:
    """Every module of the package and every page, by its name."""
    files = {path.relative_to(ROOT).with_suffix(""): path for path in ROOT.glob("resnet_viz/**/*.py")}
    pages = {path.relative_to(ROOT).with_suffix(""): path for path in [ROOT / "app.py", *ROOT.glob("pages/*.py")]}
    return {".".join(name.parts).removesuffix(".__init__"): path for name, path in (files | pages).items()}


def imported(name: str, path: Path, known: set[str]) -> set[str]:
    """The modules of ours that one imports when it is imported."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return {each for each in found & known if each != name and not (path.name != "__init__.py" and each == package)}


def floor_of(module: str) -> int:
    parts = module.split(".")
    if parts[0] != "resnet_viz" or len(parts) == 1 or parts[1] == "__main__":
        return len(FLOORS)
    within = ".".join(parts[1:3])
    return max(number for number, rooms in enumerate(FLOORS) if rooms & {parts[1], within})


def test_no_room_imports_from_one_above_it() -> None:
    known = modules()
    ways = [(name, other) for name, path in known.items() for other in imported(name, path, set(known))]
    assert len(ways) > 300
    assert not [way for way in ways if way[1] != "resnet_viz" and floor_of(way[1]) > floor_of(way[0])]


def test_no_two_modules_need_each_other() -> None:
    known = modules()
    TopologicalSorter({name: imported(name, path, set(known)) for name, path in known.items()}).prepare()


SHARED = {"document", "measures", "shown", "subject", "verdict"}


def test_a_page_s_recipes_import_nothing_from_another_page_s() -> None:
    known = modules()
    pages = {name for name in known if name.startswith("resnet_viz.recipes.") and name.split(".")[2] not in SHARED}
    assert len(pages) > 10
    assert not [(name, other) for name in pages for other in imported(name, known[name], pages)]


def libraries(path: Path) -> set[str]:
    """What a module imports by 'import'."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
    return {alias.name.split(".")[0] for node in nodes for alias in node.names}


def test_only_the_web_room_and_the_pages_know_streamlit() -> None:
    knowing = {name for name, path in modules().items() if "streamlit" in libraries(path)}
    assert knowing and all(name.startswith(("resnet_viz.web.", "pages.", "app")) for name in knowing)


def parts_of_streamlit(path: Path) -> set[str]:
    """What a module imports of Streamlit beside its public face, 'import streamlit as st'."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {f"{node.module}." for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name for name in whole | parts if name.startswith("streamlit.")}


def test_only_one_module_knows_the_inside_of_streamlit() -> None:
    knowing = [name for name, path in modules().items() if parts_of_streamlit(path)]
    assert knowing == ["resnet_viz.web.internals"]


def test_a_page_does_not_compute() -> None:
    """One that needs torch or numpy lacks a recipe."""
    assert not [path.name for path in ROOT.glob("pages/*.py") if libraries(path) & {"torch", "numpy", "scipy"}]
