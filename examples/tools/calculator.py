"""agentic-tool-calculator: arithmetic. Parameters: {"expression": "2 * (3 + 4)"}."""

import ast
import operator
from collections.abc import Callable
from typing import Any

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_MAX_LENGTH = 500
_MAX_EXPONENT = 1000
_MAX_BITS = 4000


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    expression = str(event["parameters"].get("expression", ""))
    try:
        result = _value(ast.parse(expression[:_MAX_LENGTH].strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError) as error:
        print("refused", event.get("idempotencyKey"))  # noqa: T201 - the function's log line
        return {"error": f"Cannot calculate this: {error}"}
    print("calculated", event.get("idempotencyKey"))  # noqa: T201
    return {"result": result}


def _bounded(number: Any) -> Any:
    if isinstance(number, int) and number.bit_length() > _MAX_BITS:
        raise ValueError("the number is too large")
    return number


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_value(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > _MAX_EXPONENT:
            raise ValueError("the exponent is too large")
        return _bounded(_BINARY[type(node.op)](left, right))
    raise ValueError("only numbers, + - * / // % ** and parentheses")
