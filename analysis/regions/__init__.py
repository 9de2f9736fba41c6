"""Where a model looks, in parts of the face: template, shares of maps, what covering costs, and the report of all of it."""
