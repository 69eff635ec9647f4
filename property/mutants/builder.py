"""Compiles and links a changed tree as ninja would the one that is there, which is not touched."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

FAST_LINKERS = ("mold", "lld")


class Builder:
    """How ninja would compile and link, for one changed file."""

    def __init__(self, build):
        self.folder = build
        self.compile = {}
        self.programs = {}  # of tests, by their names
        commands = self.ninja("commands", "kill9").splitlines()
        for command in commands:
            match = re.search(r" -c (\S+)$", command)
            if match:
                source = os.path.relpath(self.folder / match.group(1))
                if source.startswith("variants/"):
                    self.compile[source] = command
        self.includes = {}
        deps = self.ninja("deps")
        source = None
        for line in deps.splitlines():
            if not line.startswith(" "):
                source = None
            else:
                path = os.path.relpath(self.folder / line.strip())
                source = source or path  # the first is the source itself
                self.includes.setdefault(path, set()).add(source)
        # What nobody debugs links in a tenth of the time.
        linker = next((name for name in FAST_LINKERS if shutil.which(f"ld.{name}")), None)
        self.link_options = " -Wl,--strip-debug" + (f" -fuse-ld={linker}" if linker else "")

    def ninja(self, *tool):
        return subprocess.run(["ninja", "-C", self.folder, "-t", *tool], capture_output=True,
                              text=True, check=True).stdout

    def object_of(self, test):
        """Of a test, as CMake names it: it is part of a program, to which its own name leads."""
        name = pathlib.PurePath(test).stem
        if name not in self.programs:
            link = self.ninja("commands", name).splitlines()[-1]
            self.programs[name] = re.search(r" -o (\S+)", link).group(1)
        return f"CMakeFiles/{self.programs[name]}.dir/{test}.o"

    def sources_of(self, path):
        if path.endswith(".cc"):
            return [path]
        return sorted(self.includes.get(path, set()) & self.compile.keys())

    def build(self, mutant, folder):
        """The objects of a mutant, or None and why it cannot be built."""
        changed = folder / "tree" / mutant["file"]
        changed.parent.mkdir(parents=True)
        lines = pathlib.Path(mutant["file"]).read_text().split("\n")
        if mutant["line"]:
            lines[mutant["line"] - 1] = mutant["text"]
        changed.write_text("\n".join(lines))
        objects = []
        for source in self.sources_of(mutant["file"]):
            command = self.compile[source]
            from_changed = folder / "tree" / source if source == mutant["file"] else source
            output = folder / (source.replace("/", "_") + ".o")
            command = re.sub(r" -M[DTF]+ \S+| -MD", "", command)
            command = re.sub(r" -o \S+ -c \S+$", "", command).replace("-Werror", "-Wno-error")
            command += f" -w -g0 -O1 -o {output.absolute()} -c {os.path.abspath(from_changed)}"
            # Before every other place to look for a header.
            words = shlex.split(command)
            compiler = next(word for word in words if re.search(r"(\+\+|cc)(-\d+)?$", word))
            words.insert(words.index(compiler) + 1, f"-I{(folder / 'tree').absolute()}")
            if subprocess.run(words, cwd=self.folder, capture_output=True).returncode != 0:
                return None, "it does not compile"
            objects.append(str(output.absolute()))
        return objects, ""

    def link(self, objects, output, tests=()):
        """A program with these objects before the libraries: kill9, or one of many tests. Empty, or
        why there is none."""
        target = pathlib.PurePath(tests[0]).stem if tests else "kill9"
        command = self.ninja("commands", target).splitlines()[-1]
        if tests:
            # The mutant's first: of an inline function the first copy is taken. The main is
            # GoogleTest's: these tests are of several programs.
            objects = [*objects, *map(self.object_of, tests)]
            command = re.sub(r" CMakeFiles/\S+\.cc\.o(?= )", "", command)
        to = shlex.quote(str(output.absolute()))
        command = re.sub(r" -o \S+ ", f" {' '.join(objects)}{self.link_options} -o {to} ", command,
                         count=1)
        linked = subprocess.run(command, cwd=self.folder, shell=True, capture_output=True,
                                text=True)
        return "" if linked.returncode == 0 else f"{output.name} does not link: " + (
            linked.stderr[-400:])
