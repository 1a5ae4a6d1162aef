"""Imports point downwards: what lies on a lower floor does not know what stands on it."""

import ast
import configparser
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import minigan

ROOT = Path(minigan.__file__).parent

# From the ground up.  A module may import from its own floor and from those below.
FLOORS = [
    {"_version", "errors"},
    {"files"},  # writing files whole
    {"backends"},
    {"kernels"},
    {"draws"},
    {"autograd", "creation"},
    {"functional"},
    {"nn", "optim", "gradient_check", "gradient_cases"},
    # A recipe is data: which models, objectives and numbers a run is made of.
    {"models", "objectives", "penalties", "elbo", "data", "recipes"},
    {"train", "evaluate", "plots", "graph", "inspection"},
    {"reproduce"},
    {"cli", "__main__", "pytest_plugin"},
]
FLOOR = {name: i for i, names in enumerate(FLOORS) for name in names}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["minigan", *(p for p in parts if p != "__init__")])


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def resolve(name, attribute):
    """The module that ``from name import attribute`` reaches."""
    if f"{name}.{attribute}" in MODULES:
        return f"{name}.{attribute}"
    if name == "minigan":  # a public name, loaded lazily
        return minigan._NAMES.get(attribute, "minigan._version")
    return name


@functools.cache
def nodes(path):
    """All nodes of a file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports(path):
    """(minigan module or top-level library, line) for each import, also those in functions."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path.parent / "x")
    package = package.removesuffix(".x")
    for node in nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
            for alias in node.names:
                is_ours = base.split(".")[0] == "minigan"
                yield resolve(base, alias.name) if is_ours else base, node.lineno


def lines_for_annotations(path):
    """The lines inside ``if TYPE_CHECKING:``, which are never run."""
    for node in nodes(path):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from range(node.lineno, node.body[-1].end_lineno + 1)


def arrows():
    """(importing module, imported module, line) inside minigan."""
    for name, path in MODULES.items():
        for imported, line in imports(path):
            if imported.split(".")[0] == "minigan" and imported != name:
                yield name, imported, line


def part(name):
    """minigan.nn.layers -> nn"""
    return name.split(".")[1]


def test_every_module_has_a_floor():
    unknown = {part(name) for name in MODULES if name != "minigan"} - set(FLOOR)
    assert not unknown, "name the floor of these in FLOORS"


def test_every_package_is_installed():
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[1] / "setup.cfg")
    listed = set(config["options"]["packages"].split()) - {"minigan_bench"}
    assert listed == {name for name, path in MODULES.items() if path.name == "__init__.py"}


def test_no_arrow_points_up():
    up = [
        f"{name}:{line} imports {imported}"
        for name, imported, line in arrows()
        if name != "minigan"
        and (imported == "minigan" or FLOOR[part(name)] < FLOOR[part(imported)])
    ]
    assert not up, "\n".join(up)


def test_no_circles():
    graph = {name: set() for name in MODULES}
    for name, imported, line in arrows():
        # A name in an annotation is no circle.
        if line not in set(lines_for_annotations(MODULES[name])):
            graph[name].add(imported)
    finished = set()

    def visit(name, path):
        assert name not in path, "circle: " + " -> ".join([*path[path.index(name) :], name])
        if name not in finished:
            for imported in sorted(graph.get(name, ())):
                visit(imported, [*path, name])
            finished.add(name)

    for name in graph:
        visit(name, [])


FRAMEWORKS = {"torch", "torchvision", "tensorflow", "jax", "scipy", "sklearn", "autograd", "keras"}


def test_no_framework_in_the_package():
    found = [
        f"{name}:{line} imports {imported}"
        for name, path in MODULES.items()
        for imported, line in imports(path)
        if imported.split(".")[0] in FRAMEWORKS
    ]
    assert not found, "\n".join(found)


def test_libraries_are_imported_where_they_belong():
    """The array libraries stay below, the pictures and the command line above."""
    homes = {
        "numba": {"kernels", "cli", "train"},  # cli and train: to name its version
        "cupy": {"backends", "kernels"},
        "click": {"cli", "__main__", "evaluate"},  # evaluate: to train the classifier again
        "tqdm": {"cli", "train", "evaluate"},
    }
    found = [
        f"{name}:{line} imports {imported}"
        for name, path in MODULES.items()
        for imported, line in imports(path)
        if imported.split(".")[0] in homes and part(name) not in homes[imported.split(".")[0]]
    ]
    assert not found, "\n".join(found)


def test_the_front_door_imports_nothing():
    allowed = {"importlib", "typing", "minigan._version"}
    assert {imported for imported, _ in imports(ROOT / "__init__.py")} <= allowed


# What is loaded at run time -----------------------------------------------------------------

HEAVY = {"numpy", "numba", "matplotlib", "cupy", "PIL", "click", "tqdm", "pooch", "torch", "scipy"}


@pytest.mark.parametrize(
    ("statement", "may_load"),
    [
        ("import minigan", set()),
        ("import minigan.pytest_plugin", set()),
        ("from minigan import errors", set()),
        ("import minigan; minigan.tensor([1.0]) + 1", {"numpy"}),
        ("import minigan; minigan.nn, minigan.optim", {"numpy"}),
        ("import minigan; minigan.recipes.names()", {"numpy"}),
        ("import minigan; minigan.gradcheck", {"numpy"}),
    ],
)
def test_what_an_import_loads(statement, may_load):
    code = f"import sys; {statement}; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=ROOT.parent, timeout=60,
    )  # fmt: skip
    assert set(done.stdout.split()) & HEAVY <= may_load


def test_every_public_name_exists():
    for name in dir(minigan):
        getattr(minigan, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        minigan.nonsense  # noqa: B018


def test_names_are_resolved_as_python_does():
    assert resolve("minigan", "functional") == "minigan.functional"
    assert resolve("minigan", "Tensor") == "minigan.autograd"
    assert resolve("minigan.nn", "Linear") == "minigan.nn"
    found = dict(imports(ROOT / "nn" / "layers.py"))
    assert {"minigan.functional", "minigan.backends", "minigan.nn.module"} <= set(found)
