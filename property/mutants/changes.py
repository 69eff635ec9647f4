"""The mechanical changes of one line of code, by kind (docs/mutants.md)."""
import re


# The changes. Each finds places in a line of code, without its comments and literals, and says what
# stands there instead.
def swapped(pattern, other):
    def find(code):
        for match in re.finditer(pattern, code):
            yield match.start(), match.end(), other[match.group().strip()]
    return find


def off_by_one(code):
    for match in re.finditer(r"(?<![\w.'])\d+(?=u?\b(?![.'\w]))", code):
        yield match.start(), match.end(), str(int(match.group()) + 1)


CONDITION = re.compile(r"\s*(?:\} else )?if \((?!constexpr)(.*)\)(?: \[\[\w+\]\])?"
                       r"(?: \{| (?:return|continue|break).*;)?$")


def negated(code):
    match = CONDITION.match(code)
    condition = match.group(1) if match else ";"
    if condition.count("(") == condition.count(")") and ";" not in condition:
        yield match.start(1), match.end(1), f"!({match.group(1)})"


STATEMENT = re.compile(r"\s*(?:[\w:.>\[\]()*-]+(?:\.|->))?[\w:.>\[\]*-]+"
                       r"(?: [-+|&]?= .+|\(.*\)|\+\+|--);$")
NO_STATEMENT = re.compile(r"\s*(return|break|continue|using|delete|goto|case|default|throw|co_|"
                          r"static_assert|typedef|friend|virtual|const |constexpr|auto|uint|int|"
                          r"bool|char|size_t|absl::|std::\w+<|struct|class|explicit|inline)")


def deleted(code):
    balanced = code.count("(") == code.count(")")
    if balanced and STATEMENT.match(code) and not NO_STATEMENT.match(code):
        start = len(code) - len(code.lstrip())
        yield start, len(code), "" if "(" not in code else "(void)0;"


KINDS = {
    "comparison": swapped(r" (?:==|!=|<=|>=|<|>) ", {
        "==": " != ", "!=": " == ", "<=": " < ", ">=": " > ", "<": " <= ", ">": " >= "}),
    "arithmetic": swapped(r" [-+] ", {"+": " - ", "-": " + "}),
    "logic": swapped(r" (?:&&|\|\|) ", {"&&": " || ", "||": " && "}),
    "constant": off_by_one,
    "branch": negated,
    "statement": deleted,
    "order": swapped(r"memory_order_(?:seq_cst|acq_rel|acquire|release)",
                     {f"memory_order_{order}": "memory_order_relaxed"
                      for order in ("seq_cst", "acq_rel", "acquire", "release")}),
}


def code_lines(text):
    """(number, line, the same with comments and literals blanked), of lines that run."""
    blank = lambda match: " " * len(match.group())
    inside_assert = inside_template = False
    for number, line in enumerate(text.split("\n"), 1):
        code = re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])\'', blank, line)
        code = re.sub(r"//.*", "", code).rstrip()
        if "static_assert" in code:
            inside_assert = True
        skip = (inside_assert or not code.strip() or code.lstrip().startswith(("#", "template"))
                or "operator" in code)
        if inside_assert and code.endswith(";"):
            inside_assert = False
        if not skip:
            yield number, line, code
