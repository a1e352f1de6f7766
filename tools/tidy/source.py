# SPDX-License-Identifier: Apache-2.0
"""The tree as the rules see it: files, their comments, their code without comments, functions."""
import re
from pathlib import Path

C_FOLDERS = ("include", "src", "test", "bench", "examples")


class Problem:
    """One finding: where, which rule, what is wrong and what to do instead."""

    def __init__(self, path, line, rule, message):
        self.path, self.line, self.rule, self.message = path, line, rule, message

    def __str__(self):
        return f"{self.path}:{self.line}: rule {self.rule}: {self.message}"


class Comment:
    """One comment: its text with its marks, and where it stands in the file's text."""

    def __init__(self, text, start, end, line):
        self.text, self.start, self.end, self.line = text, start, end, line

    def words(self):
        """Return the text without the comment's marks, lines kept."""
        body = re.sub(r"^/\*+|\*/$", "", self.text)
        return "\n".join(re.sub(r"^\s*\* ?", "", line) for line in body.splitlines()).strip()


class Function:
    """One function with a body: lines are counted from 1, and both ends belong to it."""

    def __init__(self, name, is_static, line_first, line_last):
        self.name, self.is_static = name, is_static
        self.line_first, self.line_last = line_first, line_last

    def line_count(self):
        return self.line_last - self.line_first + 1


TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


class Source:
    """One C file."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.lines = text.split("\n")
        if self.lines and not self.lines[-1]:
            self.lines.pop()
        self.comments = []
        self.line_comments = []
        self.code = TOKEN.sub(self._blank, text)
        self.code_lines = self.code.split("\n")
        self.functions = list(self._functions())

    def _blank(self, match):
        token = match[0]
        if token.startswith("/*"):
            line = self.text.count("\n", 0, match.start()) + 1
            self.comments.append(Comment(token, match.start(), match.end(), line))
        elif token.startswith("//"):
            self.line_comments.append(self.text.count("\n", 0, match.start()) + 1)
        else:
            return token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]
        return re.sub(r"[^\n]", " ", token)

    def _functions(self):
        lines = self.code_lines
        for index, line in enumerate(lines):
            if line.rstrip() != "{":
                continue
            first = index
            while first > 0 and lines[first - 1].strip() and not re.match(
                    r"#|.*[;}]\s*$", lines[first - 1]):
                first -= 1
            last = next((at for at in range(index, len(lines)) if lines[at].rstrip() == "}"), None)
            head = " ".join(lines[first:index])
            plain = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", head)
            match = re.search(r"(\w+)\s*\(", plain)
            if last is None or not match:
                continue
            is_static = bool(re.search(r"\bstatic\b", plain)) or match[1] == "TEST"
            yield Function(match[1], is_static, first + 1, last + 1)

    def includes(self):
        """Yield (line, name, is_system) of each include."""
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                yield number, match[2], match[1] == "<"

    def opening(self):
        """Return the opening comment, the second one of the file, or None."""
        if len(self.comments) > 1 and not self.code[:self.comments[1].start].strip():
            return self.comments[1]
        return None

    def line_of(self, position):
        return self.text.count("\n", 0, position) + 1

    def room(self):
        """Return "wal" for src/wal/x.c, "" elsewhere."""
        parts = Path(self.path).parts
        return parts[1] if parts[0] == "src" and len(parts) > 2 else ""

    def stem(self):
        return Path(self.path).stem


class Tree:
    """The project's files below @root; paths are relative and use slashes."""

    def __init__(self, root):
        self.root = Path(root)
        self.sources = {}
        for folder in C_FOLDERS:
            for path in sorted((self.root / folder).rglob("*.[ch]")):
                name = path.relative_to(self.root).as_posix()
                self.sources[name] = Source(name, path.read_text(errors="replace"))

    def under(self, *folders):
        """Return the C files below the given folders."""
        return [source for name, source in self.sources.items()
                if name.startswith(tuple(folder + "/" for folder in folders))]

    def read(self, name):
        """Return the text of the file @name, or None."""
        path = self.root / name
        return path.read_text(errors="replace") if path.is_file() else None

    def rooms(self):
        """Return the names of the folders of src/ that hold C files."""
        return sorted({source.room() for source in self.under("src")} - {""})
