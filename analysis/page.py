"""Pages that are one file: templates of analysis/pages with everything put into them, so that nothing is asked for later."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any


def resource(name: str) -> str:
    """The text of a file of analysis/pages."""
    return (resources.files("analysis") / "pages" / name).read_text(encoding="utf-8")


def fill(template: str, parts: Mapping[str, str]) -> str:
    """A template with every ``<!--name-->`` replaced by its part; parts are taken as they are.

    Raises:
        KeyError: the template names a part that is missing.

    >>> fill("<p><!--text--></p>", {"text": "a <!--text-->"})
    '<p>a <!--text--></p>'
    """
    before, *pieces = template.split("<!--")
    return before + "".join(parts[name] + rest for name, rest in (piece.split("-->", 1) for piece in pieces))


def embedded(value: Any) -> str:
    r"""JSON that cannot end the script element it stands in, whatever a file is called.

    >>> embedded("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
