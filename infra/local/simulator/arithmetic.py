"""Arithmetic found in plain English, and its value."""

import ast
import operator
import re
from collections.abc import Callable

_NUMBER = r"\d+(?:\.\d+)?"
_OPERAND = rf"(?:{_NUMBER}|the (?:result|answer|sum|product)|it|that)"
_LIST = rf"{_OPERAND}(?:\s*(?:,\s*and|,|and|to|by|with|from|&)\s+{_OPERAND})+"
_VERB = re.compile(
    r"\b(add|sum of|sum|multiply|product of|divide|quotient of|subtract|difference (?:between|of))"
    rf"\s+(?:the\s+numbers?\s+)?({_LIST})",
    re.I,
)
_JOINERS = {"a": " + ", "s": " + ", "m": " * ", "p": " * ", "d": " / ", "q": " / "}
_WORDS = [
    (r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b", "date"),
    (r"(?<=\d),(?=\d{3}\b)", ""),
    (rf"({_NUMBER})\s*(?:%|percent)\s+of\s+({_NUMBER})", r"\2 * \1 / 100"),
    (rf"\bsquare root of\s+({_NUMBER})", r"\1 ** 0.5"),
    (r"\b(?:multiplied by|times)\b|\N{MULTIPLICATION SIGN}|(?<=\d)\s*x\s*(?=\d)", " * "),
    (r"\bdivided by\b|÷", " / "),
    (r"\bto the power of\b|\^", " ** "),
    (r"\bplus\b", " + "),
    (r"\bminus\b|\N{MINUS SIGN}", " - "),
]
_RUN = re.compile(
    rf"(?<![\w.])(?:[-(]\s*)*{_NUMBER}[)\s]*"
    rf"(?:(?:\*\*|//|[-+*/%])\s*(?:[-(]\s*)*{_NUMBER}(?![\w])[)\s]*)+"
)
_CUE = re.compile(
    r"\b(?:what is|what's|calculate|compute|evaluate|how much|work out|solve)\b", re.I
)
_UNMISTAKABLE = re.compile(r"[*+()]|\s[-/%]\s")
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_LONGEST = 200


def find_expression(text: str, previous: str | None = None) -> str | None:
    """`previous` is the expression that "the result" or "it" stands for."""
    spelled = text[:2000]
    for pattern, replacement in _WORDS:
        spelled = re.sub(pattern, replacement, spelled, flags=re.I)
    spelled = _VERB.sub(lambda match: _infix(match, previous), " ".join(spelled.split()))
    for run in _RUN.finditer(spelled):
        expression = _balanced(run[0].strip())
        evident = _UNMISTAKABLE.search(expression) or _CUE.search(spelled)
        if evident and _parsed(expression) is not None:
            return expression
    return None


def evaluate(expression: str) -> int | float:
    """Raises ValueError or ArithmeticError."""
    tree = _parsed(expression)
    if tree is None:
        raise ValueError(f"not arithmetic: {expression}")
    return _value(tree)


def solve(text: str) -> str | None:
    """The arithmetic of the text with its value, such as `6 * 7 = 42`."""
    expression = find_expression(text)
    if expression is None:
        return None
    try:
        return f"{expression} = {shown(evaluate(expression))}"
    except (ValueError, ArithmeticError) as error:
        return f"{expression} has no value ({error})"


def shown(number: int | float) -> str:
    return f"{number:.10g}" if isinstance(number, float) else str(number)


def _infix(match: re.Match[str], previous: str | None) -> str:
    verb = match[1].lower()
    operands = re.findall(_OPERAND, match[2], re.I)
    if previous:
        operands = [each if each[0].isdigit() else f"({previous})" for each in operands]
    if verb == "subtract" and re.search(r"\bfrom\b", match[2], re.I):
        operands.reverse()
    subtracts = verb == "subtract" or verb.startswith("difference")
    return f" {(' - ' if subtracts else _JOINERS[verb[0]]).join(operands)} "


def _balanced(expression: str) -> str:
    while expression.endswith(")") and expression.count(")") > expression.count("("):
        expression = expression[:-1].rstrip()
    while expression.startswith("(") and expression.count("(") > expression.count(")"):
        expression = expression[1:].lstrip()
    return expression


def _parsed(expression: str) -> ast.expr | None:
    if len(expression) > _LONGEST:
        return None
    try:
        tree = ast.parse(expression, mode="eval").body
    except SyntaxError:
        return None
    return tree if all(_allowed(node) for node in ast.walk(tree)) else None


def _allowed(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    return isinstance(node, ast.BinOp | ast.UnaryOp | ast.operator | ast.UAdd | ast.USub)


def _value(node: ast.expr) -> int | float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _OPERATORS:
            return _OPERATORS[type(kind)](_value(left), _value(right))
    raise ValueError("not arithmetic")


def _power(base: float, exponent: float) -> float:
    """Bounded: a short prompt must not buy a long computation."""
    if abs(base) > 10**6 or abs(exponent) > 64:
        raise ValueError("the power is too large")
    power = base**exponent
    if isinstance(power, complex):
        raise ValueError("the power is not real")
    return float(power) if isinstance(power, float) else int(power)
