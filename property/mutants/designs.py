"""Which designs the tree has, which files each is made of, and which tests judge it. The folders
say so: the next design is known without a line here.

    variants/KINDS/NAME/        a design, where a source of it defines `const ...& Name()`
    variants/KINDS/             the only one of its kind, where name_design.cc is a source of it
    property/KINDS*/            tests of every design of the kind
    *_test.cc                   beside any file that the design is made of: tests of it, too
    property/PART/              tests of what all kinds share: segment
"""
import pathlib
import re

ROOT = pathlib.Path("variants")
NO_KINDS = ("baselines", "peers")
FOLDERS_OF_TESTS = {"stores": ("conformance",)}  # where they are not named as the kind
DEFINITION = re.compile(r"^const \w+& (\w+)\(\) \{", re.MULTILINE)
INCLUDE = re.compile(r'^#include "(variants/[^"]+)"', re.MULTILINE)
SUITE = re.compile(r"^TEST(_F|_P)?\((\w+),", re.MULTILINE)
REGISTRY = "variants/registry"  # knows every design, and is part of none


def is_source(path):
    return path.suffix in (".cc", ".h") and not re.search(
        r"_(test|benchmark)\.cc$|shared_oracle", path.name)


def folder_of(path):
    return str(pathlib.PurePath(path).parent)


def designs():
    """{name: folder}, by kind and name."""
    found = {}
    for source in sorted(ROOT.glob("*/*/*.cc")):
        if source.parts[1] in NO_KINDS:
            continue
        for name in DEFINITION.findall(source.read_text()):
            snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
            if snake == source.parts[2]:
                found[snake] = folder_of(source)
    for source in sorted(ROOT.glob("*/*_design.cc")):
        found[source.stem.removesuffix("_design")] = folder_of(source)
    return found


def kinds_of(folder):
    """variants/heaps/NAME -> heaps; variants/buffers -> buffers, where a design is in it itself"""
    parts = pathlib.PurePath(folder).parts
    return parts[1] if len(parts) > 2 or (len(parts) == 2 and is_alone(parts[1])) else None


def is_alone(kinds):
    """Whether there is one design of the kind: all its tests are of it, and nothing sweeps it."""
    return any((ROOT / kinds).glob("*_design.cc"))


class Tree:
    """The sources that designs are made of, by what they include."""

    def __init__(self):
        self.designs = designs()
        self.includes = {}
        for path in sorted(ROOT.rglob("*")):
            if is_source(path) and path.parts[1] not in NO_KINDS:
                self.includes[str(path)] = [
                    name for name in INCLUDE.findall(path.read_text())
                    if not name.startswith(REGISTRY)]
        self.designs_of = {}
        for design, folder in self.designs.items():
            for path in self.files_of(folder):
                self.designs_of.setdefault(path, []).append(design)

    def files_of(self, folder):
        """Its own, what they include, and the sources behind the headers that they include."""
        reached = set()
        new = [path for path in self.includes if folder_of(path) == folder]
        while new:
            path = new.pop()
            if path in reached or path not in self.includes or path.startswith(REGISTRY):
                continue
            reached.add(path)
            new += self.includes[path]
            if path.endswith(".h"):
                new += self.sources_behind(path)
        return reached

    def sources_behind(self, header):
        """That of its name; and those without a header of theirs that include it, in a folder of
        its own (variants/ itself has the headers of all kinds)."""
        named = header[:-2] + ".cc"
        result = [named] if named in self.includes else []
        if folder_of(header) != str(ROOT):
            result += [path for path, included in self.includes.items()
                       if path.endswith(".cc") and folder_of(path) == folder_of(header)
                       and path[:-3] + ".h" not in self.includes and header in included]
        return result

    def sources(self):
        """(path, its designs)"""
        for path in self.includes:
            if path in self.designs_of:
                yield path, tuple(self.designs_of[path])

    def files_of_designs(self, names):
        return [path for path, of in self.designs_of.items() if set(names) & set(of)]

    def judges(self, path, names):
        """The tests of a file that is part of these designs, those that know it best first. Tests
        of two kinds do not fit into one program: their suites share names."""
        result = []
        part = re.match(r"variants/(\w+)(?:/[^/]+|\.\w+)$", path)
        if part and part.group(1) not in {kinds_of(self.designs[name]) for name in names}:
            tests = tests_in(pathlib.Path("property") / part.group(1))
            if tests:
                result.append(Judge(part.group(1), (), tests, ()))
        by_kinds = {}
        for name in names:
            by_kinds.setdefault(kinds_of(self.designs[name]), []).append(name)
        for kinds, of_kind in by_kinds.items():
            folders = {folder_of(one) for one in (*self.files_of_designs(of_kind), path)}
            folders = {folder for folder in folders if kinds_of(folder) == kinds}
            beside = [test for folder in sorted(folders) for test in tests_in(folder)]
            of_all = [test for folder in folders_of_tests(kinds) for test in tests_in(folder)]
            if is_alone(kinds):
                beside, of_all = [*beside, *of_all], []
            result.append(Judge(kinds, tuple(of_kind), beside, of_all))
        return result

    def swept(self, names):
        return [name for name in names if not is_alone(kinds_of(self.designs[name]))]

    def described(self):
        described = {}
        for design, folder in self.designs.items():
            judge, = self.judges(f"{folder}/any.cc", (design,))
            described[design] = {
                "kinds": kinds_of(folder), "files": self.files_of_designs([design]),
                "beside": judge.beside, "of_all": judge.of_all, "asked": judge.suites()}
        return described

    def tests_of(self, mutants):
        tests = set()
        for path, names in {(mutant["file"], mutant["designs"]) for mutant in mutants}:
            for judge in self.judges(path, names):
                tests.update(judge.tests)
        return sorted(tests)


def folders_of_tests(kinds):
    if kinds in FOLDERS_OF_TESTS:
        return [pathlib.Path("property") / folder for folder in FOLDERS_OF_TESTS[kinds]]
    return sorted(path for path in pathlib.Path("property").glob(f"{kinds}*") if path.is_dir())


def tests_in(folder):
    return [str(path) for path in sorted(pathlib.Path(folder).glob("*_test.cc"))]


class Judge:
    """The tests of one kind of design, or of one part, in one program."""

    def __init__(self, name, names, beside, of_all):
        self.name = name
        self.designs = names
        self.beside = beside  # what they test is peculiar to these designs: all of them is asked
        self.of_all = of_all  # what is asked of them is of one design
        self.tests = [*beside, *of_all]

    def suites(self):
        """As gtest filters them: what may be asked. Tests of the testbed itself, which name no
        design, are no judges of one."""
        patterns = [f"*/{name}" for name in self.designs]
        for test in self.tests:
            text = pathlib.Path(test).read_text()
            named = test in self.beside or any(f"variants/{kind}/{name}" in text
                                               for name in self.designs
                                               for kind in [self.name])
            for how, suite in SUITE.findall(text):
                if not named or (how == "_P" and test not in self.beside):
                    continue
                patterns += [f"{suite}.*", f"*/{suite}.*"]
        return list(dict.fromkeys(patterns))
